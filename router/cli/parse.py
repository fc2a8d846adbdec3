"""From a verb's ``run`` to its command: options are annotations, read here.

    def run(link: Connection, route: Route = "", full: Annotated[bool, Option("…")] = False): ...

A parameter annotated with a dataclass stands for all fields of that dataclass, so an option that
many verbs share is written, explained and defaulted in one place. typer would read the same
annotations, but validates them with pydantic, which alone takes longer to import than a whole
``rampway status`` may last.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

VerbFunction = Callable[..., Any]


class Option:
    """How a parameter is given by name; without ``names`` it is its own name with dashes."""

    def __init__(
        self, text: str, *names: str, envvar: str | None = None,
        least: int | None = None, most: int | None = None,
    ) -> None:  # fmt: skip
        self.text = text
        self.names = names
        self.envvar = envvar
        self.least = least
        self.most = most


class Argument:
    """How a parameter is given by place; it is optional if the parameter has a default."""

    def __init__(self, text: str, metavar: str = "") -> None:
        self.text = text
        self.metavar = metavar


class VerbParameter(NamedTuple):
    """One thing that a verb can be given."""

    name: str
    kind: Any
    """As it is annotated."""
    how: Option | Argument
    required: bool
    default: Any
    """As it would be typed; None for what is required."""
    group: str
    """The verb's parameter it is a part of; empty: it is one itself."""
    made: type[Any] | None
    """What it is put into: the group's type, or an enum."""


def wanted(run: VerbFunction) -> list[VerbParameter]:
    """What a verb can be given, from its annotations."""
    hints = get_type_hints(run, include_extras=True)
    found = []
    for name, parameter in inspect.signature(run).parameters.items():
        kind = hints[name]
        if is_dataclass(kind) and isinstance(kind, type):
            parts = get_type_hints(kind, include_extras=True)
            found += [_wanted(f.name, parts[f.name], f.default, name, kind) for f in fields(kind)]
        else:
            found.append(_wanted(name, kind, parameter.default))
    return found


def _wanted(
    name: str, hint: Any, default: Any, group: str = "", made: type[Any] | None = None
) -> VerbParameter:
    kind, how = get_args(hint)
    required = default in (inspect.Parameter.empty, MISSING)
    value = None if required else str(default) if isinstance(default, StrEnum) else default
    if made is None and isinstance(kind, type) and issubclass(kind, StrEnum):
        made = kind
    return VerbParameter(name, kind, how, required, value, group, made)


def gathered(
    parameters: Sequence[VerbParameter], values: Mapping[str, object]
) -> dict[str, object]:
    """What ``run`` is called with: options of a group in its dataclass, words in their enums."""
    out: dict[str, object] = {}
    groups: dict[str, tuple[type[Any], dict[str, object]]] = {}
    for one in parameters:
        value = values[one.name]
        if one.group and one.made is not None:
            groups.setdefault(one.group, (one.made, {}))[1][one.name] = value
        else:
            out[one.name] = one.made(value) if one.made is not None else value
    return out | {name: made(**parts) for name, (made, parts) in groups.items()}


# --- plain command lines --------------------------------------------------------------------------


def plain(
    parameters: Sequence[VerbParameter], argv: Sequence[str], environ: Mapping[str, str]
) -> dict[str, object] | None:
    """What is given, by name, where a command line leaves nothing to interpret; else None.

    Plain are options in full (``--name value``, ``--name=value``, ``-o value``), each once, and
    values that are not empty and begin with no dash. Whoever knows all of the language reads these
    as well, to the same values; a test compares the two. Everything else, whatever is wrong with it
    too, is for that one.
    """
    options = {name: one for one in parameters for name in _names(one)}
    values = {one.name: one.default for one in parameters}
    given: set[str] = set()
    places: list[str] = []
    left = iter(argv)
    for word in left:
        if not word.startswith("-"):
            places.append(word)
            continue
        name, equals, text = word.partition("=")
        one = options.get(name)
        if one is None or one.name in given or (equals and not name.startswith("--")):
            return None
        given.add(one.name)
        if one.kind is bool:
            if equals:
                return None
            values[one.name] = not name.startswith("--no-")
        elif (value := _value(one, text if equals else next(left, ""))) is None:
            return None
        else:
            values[one.name] = value
    if not _placed(parameters, places, values) or not _set(parameters, given, values, environ):
        return None
    return values


def _names(one: VerbParameter) -> Sequence[str]:
    if isinstance(one.how, Argument):
        return ()
    flag = f"--{one.name.replace('_', '-')}"
    return one.how.names or ((flag, f"--no-{one.name}") if one.default is True else (flag,))


def _value(one: VerbParameter, text: str) -> Any:
    """None where it is not plain."""
    kind = next((part for part in get_args(one.kind) if part is not NoneType), one.kind)
    if not text or text.startswith("-") or not isinstance(kind, type):
        return None
    if issubclass(kind, StrEnum):
        return text if text in {member.value for member in kind} else None
    if kind is int:
        how, number = one.how, int(text) if text.isascii() and text.isdecimal() else -1
        least = how.least if isinstance(how, Option) else None
        most = how.most if isinstance(how, Option) else None
        within = (least is None or number >= least) and (most is None or number <= most)
        return number if number >= 0 and within else None
    return kind(text) if kind in {str, Path} else None


def _placed(
    parameters: Sequence[VerbParameter], places: list[str], values: dict[str, object]
) -> bool:
    """Whether what is given by place fits."""
    for one in parameters:
        if not isinstance(one.how, Argument):
            continue
        several = get_origin(one.kind) is list
        taken = places[:] if several else places[:1]
        del places[: len(taken)]
        found = [_value(one, text) for text in taken]
        if None in found or (one.required and not found):
            return False
        if found:
            values[one.name] = tuple(found) if several else found[0]
    return not places


def _set(
    parameters: Sequence[VerbParameter], given: set[str], values: dict[str, object],
    environ: Mapping[str, str],
) -> bool:  # fmt: skip
    """Whether what the environment says is plain; it is for what is not given."""
    for one in parameters:
        if not isinstance(one.how, Option) or one.name in given:
            continue
        if one.required:
            return False
        text = environ.get(one.how.envvar, "") if one.how.envvar else ""
        if text:
            if one.kind is not str:
                return False
            values[one.name] = text
    return True
