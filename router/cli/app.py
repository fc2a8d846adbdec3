"""The command itself: finds a verb's module when the verb is named, and ends with its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from router.cli.exits import Failure
from router.cli.options import spread

HELP = "Rampway: deployment-strategy traffic router for prediction services."


class LazyVerbs(MutableMapping[str, Any]):
    """Verb -> typer command, made when it is asked for: start-up pays for one verb, not for all."""

    def __init__(self, headings: Mapping[str, str]) -> None:
        self._headings = dict(headings)
        self._runs: dict[str, Callable[..., Any]] = {}
        self._made: dict[str, Any] = {}

    def add(self, verb: str, heading: str, run: Callable[..., Any]) -> None:
        """A verb that lives on a higher floor."""
        self._headings = {verb: heading, **self._headings}
        self._runs[verb] = run

    def __getitem__(self, verb: str) -> Any:
        if verb not in self._made:
            heading = self._headings[verb]
            run = self._runs.get(verb) or _load(verb)
            single = typer.Typer(
                add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
            )
            single.command(verb, rich_help_panel=heading)(spread(run))
            self._made[verb] = typer.main.get_command(single)
        return self._made[verb]

    def __setitem__(self, verb: str, command: Any) -> None:
        self._headings.setdefault(verb, "")
        self._made[verb] = command

    def __delitem__(self, verb: str) -> None:
        del self._headings[verb]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headings)

    def __len__(self) -> int:
        return len(self._headings)


class Command(TyperGroup):
    """The group of all verbs. A :class:`Failure` becomes one line on stderr and its exit code."""

    commands: LazyVerbs

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except Failure as failure:
            if str(failure):
                typer.echo(f"rampway: {failure}", err=True)
            raise typer.Exit(failure.code) from None
        except BrokenPipeError:
            sys.stderr.close()  # `rampway history | head`: the reader has enough, nothing is wrong
            raise typer.Exit(0) from None


def build(headings: Mapping[str, str]) -> Command:
    """A command with these verbs."""
    app = typer.Typer(
        name="rampway", cls=Command, help=HELP, no_args_is_help=True,
        pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    app.callback()(lambda: None)
    command = typer.main.get_command(app)
    assert isinstance(command, Command)  # noqa: S101 - cls above
    command.commands = LazyVerbs(headings)
    return command


def _load(verb: str) -> Callable[..., Any]:
    run: Callable[..., Any] = import_module(f"router.cli.{verb.replace('-', '_')}").run
    return run
