"""
One row of the table of settings, and how a dataclass field becomes one.

Pure. `sections.py` declares the rows; the reader, the sample file and the manual read them back
with `rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, cast

from plivostatusd.config.kinds import Kind

T = TypeVar("T")

_MARK = "setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table. `default` is the text a file would carry; empty means not set."""

    section: str = ""
    key: str = ""
    kind: Kind[Any]
    default: str
    about: str
    sample: str
    is_required: bool
    is_reloadable: bool
    is_sensitive: bool

    @property
    def name(self) -> str:
        """The name that logs and messages use: `section.key`."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"PLIVOSTATUSD_{self.section}_{self.key}".upper()

    def fallback(self) -> Any:
        """Return the value of a setting that nobody sets; of a required one, the sample's."""
        text = self.sample if self.is_required else self.default
        return self.kind.convert(text) if text else None


def setting(
    kind: Kind[T],
    about: str,
    *,
    default: str,
    reload: bool = True,
) -> T:
    """Describe a setting that always has a value."""
    return _field(kind, about, default=default, is_reloadable=reload)


def required(kind: Kind[T], about: str, *, sample: str, sensitive: bool = False) -> T:
    """Describe a setting that the file must have; *sample* shows what one looks like."""
    return _field(kind, about, sample=sample, is_required=True, is_sensitive=sensitive)


def optional(kind: Kind[T], about: str, *, sample: str = "", sensitive: bool = False) -> T | None:
    """Describe a setting that may stay unset, which reads as None."""
    return _field(kind, about, sample=sample, is_sensitive=sensitive)


def _field(  # noqa: PLR0913 - one argument a column of the table
    kind: Kind[T],
    about: str,
    *,
    default: str = "",
    sample: str = "",
    is_required: bool = False,
    is_reloadable: bool = True,
    is_sensitive: bool = False,
) -> T:
    row = Setting(
        kind=kind,
        default=default,
        about=about,
        sample=sample,
        is_required=is_required,
        is_reloadable=is_reloadable,
        is_sensitive=is_sensitive,
    )
    metadata = {_MARK: row}
    if is_required:
        return cast("T", field(metadata=metadata, repr=not is_sensitive))
    return cast("T", field(default=row.fallback(), metadata=metadata, repr=not is_sensitive))


def rows(section: str, declared: type[Any]) -> Iterator[Setting]:
    """Yield the settings that the dataclass *declared* makes of *section*, in its order."""
    for item in fields(declared):
        row: Setting = item.metadata[_MARK]
        yield replace(row, section=section, key=item.name.removesuffix("_"))


def attribute(key: str) -> str:
    """Return the attribute that holds *key*: `from` is a word of Python's own."""
    return "from_" if key == "from" else key
