"""
The header fields of a request, as Tornado's `HTTPHeaders`, for a fraction of what one costs.

Tornado judges and spells every name and value anew when it is added. Here they have been judged
already (`head`), so they are kept as they were read, under names in lower case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tornado.httputil import HTTPHeaders


class Fields(HTTPHeaders):
    """What was read of a head; nothing of `HTTPHeaders`' own storage is used."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """Take *lines*, in each of which a name, a colon and a value have been found."""
        parted = [line.partition(":") for line in lines]
        self.combined = {name.lower(): value.strip(" \t") for name, _, value in parted}
        """Names in lower case; of a field that came several times, what its lines say in a row."""
        self._several: dict[str, list[str]] = {}
        if len(self.combined) < len(parted):
            self.combined.clear()
            for name, _, value in parted:
                self.add(name, value.strip(" \t"))

    def add(self, name: str, value: str, *, _chars_are_bytes: bool = True) -> None:
        """Have one line more."""
        key = name.lower()
        lines = [*self.get_list(key), value]
        if len(lines) > 1:
            self._several[key] = lines
        self.combined[key] = ",".join(lines)

    def count(self, key: str) -> int:
        """Say how many lines there are of the name *key*, which is in lower case."""
        if key not in self.combined:
            return 0
        return len(self._several[key]) if key in self._several else 1

    def get_list(self, name: str) -> list[str]:
        """Give the value of each line of that name."""
        key = name.lower()
        if key not in self.combined:
            return []
        return list(self._several.get(key) or [self.combined[key]])

    def get_all(self) -> Iterator[tuple[str, str]]:
        """Give every line."""
        return ((name, value) for name in self for value in self.get_list(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Give a field's value, or *default*."""
        return self.combined.get(name.lower(), default)

    def copy(self) -> HTTPHeaders:
        """Give the same as an ordinary `HTTPHeaders`."""
        copied = HTTPHeaders()
        for name, value in self.get_all():
            copied.add(name, value)
        return copied

    __copy__ = copy

    def __getitem__(self, name: str) -> str:
        return self.combined[name.lower()]

    def __setitem__(self, name: str, value: str) -> None:
        self._several.pop(name.lower(), None)
        self.combined[name.lower()] = value

    def __delitem__(self, name: str) -> None:
        del self.combined[name.lower()]
        self._several.pop(name.lower(), None)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.combined

    def __len__(self) -> int:
        return len(self.combined)

    def __iter__(self) -> Iterator[str]:
        return ("-".join(map(str.capitalize, name.split("-"))) for name in self.combined)
