"""Options that many verbs share, as frozen dataclasses, and the decorator that spreads them out.

A verb takes ``link: Connection`` or ``change: Change``; :func:`spread` gives typer one option for
each of their fields. So an option is written, explained and defaulted in one place.
"""

from __future__ import annotations

import getpass
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from router.cli.client import Client
from router.cli.exits import Exit, Failure

DEFAULT_ADMIN = "http://127.0.0.1:8081"


class Output(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


Route = Annotated[
    str, typer.Argument(metavar="[ROUTE]", help="Route; may be left out if there is just one.")
]
Format = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for scripts.")]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the router is and who asks."""

    admin: Annotated[
        str, typer.Option(envvar="RAMPWAY_ADMIN", help="URL of the router's admin interface.")
    ] = DEFAULT_ADMIN
    token_file: Annotated[
        str,
        typer.Option(
            envvar="RAMPWAY_TOKEN_FILE", help="File with the token; or set RAMPWAY_TOKEN."
        ),
    ] = ""
    ca: Annotated[
        str, typer.Option(envvar="RAMPWAY_CA", help="PEM file that an https admin is checked with.")
    ] = ""

    def client(self) -> Client:
        """A client for these options. There is no --token: other users can read arguments."""
        return Client(self.admin, self._token(), self.ca, _user())

    def _token(self) -> str:
        if not self.token_file:
            return os.environ.get("RAMPWAY_TOKEN", "")
        try:
            return Path(self.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(Exit.USAGE, f"--token-file: {error}") from None


@dataclass(frozen=True, slots=True)
class Change:
    """How an order is given."""

    reason: Annotated[str, typer.Option(help="Why; goes into the journal.")] = ""
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
    if_revision: Annotated[
        int | None,
        typer.Option(min=0, help="Only if the rollout is still at this revision (else exit 5)."),
    ] = None


def spread(run: Callable[..., Any]) -> Callable[..., Any]:
    """``run`` with every dataclass parameter replaced by its fields, for typer to read."""
    hints = get_type_hints(run, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(run).parameters.values():
        kind = hints[parameter.name]
        if is_dataclass(kind) and isinstance(kind, type):
            groups[parameter.name] = kind
            parameters += _parameters(kind)
        else:
            parameters.append(
                parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)
            )

    def spread_run(**values: Any) -> Any:
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        return run(**values)

    spread_run.__doc__ = run.__doc__
    spread_run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    spread_run.__annotations__ = {made.name: made.annotation for made in parameters}
    return spread_run


def _parameters(kind: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]  # fmt: skip


def _user() -> str:
    """The name of the person, for a router without tokens; unverified and marked as such there."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def interactive() -> bool:
    """Whether a person sits there who can be asked and shown a moving picture."""
    return sys.stdin.isatty() and sys.stdout.isatty()
