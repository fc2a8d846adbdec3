"""From a verb's ``run`` to its command: options are annotations, read here and given to click.

    def run(link: Connection, route: Route = "", full: Annotated[bool, Option("…")] = False): ...

A parameter annotated with a dataclass stands for all fields of that dataclass, so an option that
many verbs share is written, explained and defaulted in one place. typer would read the same
annotations, but validates them with pydantic, which alone takes longer to import than a whole
``rampway status`` may last.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import click

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


@dataclass(frozen=True, slots=True)
class Argument:
    """How a parameter is given by place; it is optional if the parameter has a default."""

    text: str
    metavar: str = ""


def command(verb: str, run: VerbFunction) -> click.Command:
    """The click command of a verb."""
    groups: dict[str, type[Any]] = {}
    params: list[click.Parameter] = []
    places: list[str] = []
    hints = get_type_hints(run, include_extras=True)
    for name, parameter in inspect.signature(run).parameters.items():
        kind = hints[name]
        if is_dataclass(kind) and isinstance(kind, type):
            groups[name] = kind
            params += _fields(kind)
            continue
        made, place = _parameter(name, kind, parameter.default)
        params.append(made)
        places += place
    text = inspect.getdoc(run) or ""
    about = "\n\n".join([text, "\b\n" + "\n".join(places)] if places else [text])
    return click.Command(
        verb, params=params, callback=_gathering(run, groups, hints), help=about,
        short_help=text.partition("\n\n")[0].partition(". ")[0].rstrip("."),
    )  # fmt: skip


def _gathering(
    run: VerbFunction, groups: Mapping[str, type[Any]], hints: Mapping[str, Any]
) -> VerbFunction:
    """``run`` with shared options put back into their dataclasses, and words into their enums."""
    enums = {name: kind for name, hint in hints.items() if (kind := _enum(hint)) is not None}

    def gathered(**values: Any) -> Any:
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        for name, enum in enums.items():
            values[name] = enum(values[name])
        return run(**values)

    return gathered


def _fields(kind: type[Any]) -> list[click.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [_parameter(field.name, hints[field.name], field.default)[0] for field in fields(kind)]


def _parameter(name: str, hint: Any, default: Any) -> tuple[click.Parameter, list[str]]:
    """The click parameter, and what the help says of an argument (click says nothing of them)."""
    kind, how = get_args(hint)
    required = default in (inspect.Parameter.empty, MISSING)
    value = None if required else str(default) if isinstance(default, StrEnum) else default
    if isinstance(how, Argument):
        several = get_origin(kind) is list
        # From click 8.3 on a default of None is a value, and nothing would be missing any more.
        preset = {} if required else {"default": value}
        shown = how.metavar or (name.upper() if required else f"[{name.upper()}]")
        made: click.Parameter = click.Argument(
            [name], type=_type(get_args(kind)[0] if several else kind, None), required=required,
            nargs=-1 if several else 1, metavar=shown, **preset,
        )  # fmt: skip
        return made, [f"  {shown}  {how.text}"]
    flag = f"--{name.replace('_', '-')}"
    names = list(how.names) or [f"{flag}/--no-{name}" if value is True else flag]
    return (
        click.Option(
            [*names, name], type=_type(kind, how), is_flag=kind is bool, default=value,
            help=how.text, envvar=how.envvar, show_envvar=True,
        ),
        [],
    )  # fmt: skip


def _type(kind: Any, how: Option | None) -> click.ParamType[Any]:
    kind = next((part for part in get_args(kind) if part is not NoneType), kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return click.Choice([member.value for member in kind])
    if kind is Path:
        return click.Path(path_type=Path)
    if kind is int:
        bounded = how is not None and (how.least, how.most) != (None, None)
        return click.IntRange(how.least, how.most) if how and bounded else click.INT
    return click.BOOL if kind is bool else click.STRING


def _enum(hint: Any) -> type[StrEnum] | None:
    kind = get_args(hint)[0] if get_args(hint) else hint
    return kind if isinstance(kind, type) and issubclass(kind, StrEnum) else None
