"""
Answers of the local API, held against its OpenAPI document: what is not in there is an error.

Objects are taken at their word: a field that the document does not name fails, though the document
itself leaves room for fields to come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator

from plivostatusd.web.description import document
from tests.wire import Answer

PROBLEM = "application/problem+json"
_HELD_LOOSELY = ("allOf", "not")


class NotDescribed(AssertionError):
    """An answer that the document does not have."""


def target(reference: str) -> Any:
    """Follow a reference within the document."""
    found: Any = document()
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def resolved(part: Any) -> Any:
    """Give *part*, or what it refers to."""
    return target(part["$ref"]) if "$ref" in part else part


def operation(method: str, path: str) -> tuple[str, dict[str, Any]]:
    """Find the operation of a request to *path*: the path as the document has it, and itself."""
    for template, operations in document()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in operations:
            return template, operations[method.lower()]
    raise NotDescribed(f"{method} {path}")


def closed(schema: Any, *, loosely: bool = False) -> Any:
    """Copy *schema* so that no object may have other fields than those it names."""
    if isinstance(schema, list):
        return [closed(each, loosely=loosely) for each in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {
        name: closed(each, loosely=loosely or name in _HELD_LOOSELY)
        for name, each in schema.items()
    }
    if not loosely and isinstance(copy.get("properties"), dict):
        copy.setdefault("additionalProperties", False)
    return copy


def check(schema: Any, value: Any) -> None:
    """Fail where *value* is not what *schema*, a part of the document, says."""
    whole = {"allOf": [closed(schema)], "components": closed(document()["components"])}
    wrong = [f"{error.instance_path}: {error.message}" for error in _errors(whole, value)]
    if wrong:
        raise NotDescribed("\n".join([*wrong, json.dumps(value)[:2_000]]))


def _errors(schema: Any, value: Any) -> list[Any]:
    return list(Draft202012Validator(schema, validate_formats=True).iter_errors(value))


def check_answer(method: str, path: str, reply: Answer) -> tuple[str, str, int]:
    """Hold *reply* against the document; which operation and status it was comes back."""
    template, about = operation(method, path)
    try:
        answer = resolved(about["responses"][str(reply.status)])
    except KeyError:
        raise NotDescribed(f"{method} {template}: {reply.status}") from None
    _check_headers(answer.get("headers", {}), reply)
    if content := answer.get("content"):
        _check_content(content, reply)
    else:
        assert b"" == reply.body
    return method, template, reply.status


def _check_headers(described: Mapping[str, Any], reply: Answer) -> None:
    for name, about in described.items():
        if name in reply.headers:
            is_number = about["schema"].get("type") == "integer"
            check(about["schema"], int(reply.headers[name]) if is_number else reply.headers[name])


def _check_content(content: Mapping[str, Any], reply: Answer) -> None:
    media_type = reply.headers["Content-Type"].partition(";")[0]
    if media_type not in content:
        raise NotDescribed(f"{reply.status} is of {media_type}")
    about = content[media_type]
    if "x-line-schema" in about:
        for line in reply.text.splitlines():
            check(about["x-line-schema"], json.loads(line))
    elif media_type.endswith("json"):
        check(about["schema"], reply.json)
