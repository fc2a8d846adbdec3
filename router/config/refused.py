"""Pydantic's errors as problems with a place and a hint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from router.config import hints, schema
from router.config.problems import Path, Problem, nearest
from router.config.source import Document, secret
from router.core.quantities import shown

Worded = tuple[str, str]
"""A message and its hint."""


class _Fault(NamedTuple):
    """What pydantic says of one value."""

    path: Path
    got: str
    error: ErrorDetails

    def said(self, key: str, default: object = None) -> object:
        """One of the details, such as the bound that was passed."""
        return self.error.get("ctx", {}).get(key, default)


def problems(document: Document, error: ValidationError) -> Iterable[Problem]:
    """Every fault of the values, with its place, in the words of this program."""
    errors = [(_path(document, e["loc"]), e) for e in error.errors(include_url=False)]
    paths = [path for path, _ in errors]
    meant = {
        (*path[:-1], nearest(str(path[-1]), schema.keys(path[:-1])))
        for path, one in errors
        if one["type"] == "extra_forbidden" and path
    }
    told: set[tuple[Path, str]] = set()
    for path, one in errors:
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in paths)
        # A list whose items failed is also reported as too short: the items are the cause.
        if one["type"] == "too_short" and deeper:
            continue
        # A misspelt required key is one slip, not an unknown key and a missing one.
        if one["type"] == "missing" and path in meant:
            continue
        message, hint = _worded(document, path, one)
        if (path, message) not in told:
            told.add((path, message))
            unknown = one["type"] == "extra_forbidden" or _is_key(one["loc"])
            yield document.problem(path, message, hint, at_key=unknown)


def _is_key(location: tuple[int | str, ...]) -> bool:
    return bool(location) and location[-1] == "[key]"


def _path(document: Document, location: tuple[int | str, ...]) -> Path:
    """The part of `location` that exists in the file, plus a missing key at its end.

    Pydantic adds names of its own, such as ``[key]`` and the type of a union's member.
    """
    value = document.value
    path: list[int | str] = []
    for index, part in enumerate(location):
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]  # type: ignore[index]  # the line above is the check
        elif index == len(location) - 1 and isinstance(value, dict) and part != "[key]":
            path.append(part)
            break
        else:
            continue
        path.append(part)
    return tuple(path)


def _worded(document: Document, path: Path, error: ErrorDetails) -> Worded:
    handler = _WORDS.get(error["type"])
    fault = _Fault(path, _got(document, path, error["input"]), error)
    message, hint = handler(fault) if handler else (f"expected {error['msg']}", "")
    if error["type"] == "value_error":
        message, hint = _sentence(str(fault.said("error")))
    message = _hidden(document, path, message, error["input"])
    value = None if error["type"] == "missing" else error["input"]
    return message, hint or hints.hint(document, path, value)


def _sentence(text: str) -> Worded:
    """Message and hint of a ValueError from core: the hint is what follows the first sentence."""
    message, _, hint = text.partition(". ")
    return message, hint[:1].lower() + hint[1:]


def _got(document: Document, path: Path, value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, int | float) and not isinstance(value, bool) and path in document.plain:
        return f"the number {document.plain[path]}"
    return shown(value)


def _hidden(document: Document, path: Path, message: str, value: Any) -> str:
    """The message without a value that came from elsewhere or is a secret."""
    if path in document.expanded:
        wanted = message.partition(", got ")[0]
        if len(str(value)) > 3 and str(value) in wanted:
            wanted = "expected another value"
        return f"{wanted}, got what {document.expanded[path]} stands for"
    return re.sub(r", got .*", ", got ***", message) if secret(path) else message


def _missing(fault: _Fault) -> Worded:
    key = fault.path[-1] if fault.path else "a value"
    return f"expected {key}, which is required, got nothing", ""


def _unknown(fault: _Fault) -> Worded:
    known = schema.keys(fault.path[:-1])
    name = str(fault.path[-1])
    if close := nearest(name, known):
        return f"expected a known key, got {name!r}", f"did you mean {close}?"
    return f"expected a known key, got {name!r}", f"known here: {', '.join(known)}"


def _choice(fault: _Fault) -> Worded:
    expected = str(fault.said("expected"))
    close = nearest(fault.got.strip("'"), re.findall(r"'([^']*)'", expected))
    return f"expected {expected}, got {fault.got}", f"did you mean {close}?" if close else ""


def _expected(what: str) -> Callable[[_Fault], Worded]:
    return lambda fault: (f"expected {what}, got {fault.got}", "")


def _bound(words: str, key: str) -> Callable[[_Fault], Worded]:
    def worded(fault: _Fault) -> Worded:
        limit = schema.format_limit(fault.path, fault.said(key))
        return f"expected {words} {limit}, got {fault.got}", ""

    return worded


def _length(words: str, key: str) -> Callable[[_Fault], Worded]:
    def worded(fault: _Fault) -> Worded:
        unit = "characters" if fault.got[:1] in ("'", '"') else "entries"
        length = fault.said("actual_length", fault.got)  # None: counting stopped at the bound
        got = "more" if length is None else str(length)
        return f"expected {words} {fault.said(key)} {unit}, got {got}", ""

    return worded


def _characters(words: str, key: str) -> Callable[[_Fault], Worded]:
    return lambda fault: (f"expected {words} {fault.said(key)} characters, got {fault.got}", "")


def _pattern(fault: _Fault) -> Worded:
    return f"expected text of the form {fault.said('pattern')}, got {fault.got}", ""


_WORDS: dict[str, Callable[[_Fault], Worded]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "enum": _choice,
    "string_type": _expected("text"),
    "bool_type": _expected("true or false"),
    "int_type": _expected("a whole number"),
    "int_from_float": _expected("a whole number"),
    "float_type": _expected("a number"),
    "finite_number": _expected("a finite number"),
    "tuple_type": _expected("a list"),
    "dict_type": _expected("a mapping"),
    "model_type": _expected("a mapping"),
    "model_attributes_type": _expected("a mapping"),
    "mapping_type": _expected("a mapping"),
    "greater_than": _bound("more than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("less than", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "too_short": _length("at least", "min_length"),
    "too_long": _length("at most", "max_length"),
    "string_too_short": _characters("at least", "min_length"),
    "string_too_long": _characters("at most", "max_length"),
    "string_pattern_mismatch": _pattern,
}
"""Pydantic's error types in the words of this program; the tests try to meet others."""
