"""The command in full: help, headings, hints for slips, completion; what click knows of it."""

from __future__ import annotations

import inspect
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import click

import router
from router.cli.app import docstring_of, ended, run_of
from router.cli.parse import Argument, Option, VerbFunction, VerbParameter, gathered, wanted

HELP = "Rampway: deployment-strategy traffic router for prediction services."


class Rampway(click.Group):
    """The group of all verbs. A verb's module is imported when it is used, not for ``--help``."""

    def __init__(self, verbs: dict[str, str]) -> None:
        super().__init__(
            "rampway", help=HELP, no_args_is_help=True,
            context_settings={"help_option_names": ["-h", "--help"]},
            params=[click.Option(
                ["--version"], is_flag=True, is_eager=True, expose_value=False,
                callback=_version, help="The version of rampway, and nothing else.",
            )],
        )  # fmt: skip
        self._headings = dict(verbs)
        self._runs: dict[str, VerbFunction] = {}

    def add(self, verb: str, heading: str, run: VerbFunction) -> None:
        """A verb that lives on a higher floor; it is listed first."""
        self._headings = {verb: heading, **self._headings}
        self._runs[verb] = run

    def heading(self, verb: str) -> str:
        """The heading of a verb in the help. KeyError for an unknown one."""
        return self._headings[verb]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All verbs, in the order of the table."""
        return list(self._headings)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb; None for an unknown one, with a hint if it is nearly one."""
        if cmd_name in self._headings:
            return command(cmd_name, self._runs.get(cmd_name) or run_of(cmd_name))
        from difflib import get_close_matches  # noqa: PLC0415 - only for a slip

        near = get_close_matches(cmd_name, self._headings, 1)
        if near and not ctx.resilient_parsing:
            ctx.fail(f"no such verb {cmd_name!r}; did you mean {near[0]!r}?")
        return None

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Verbs under their headings."""
        for heading in dict.fromkeys(self._headings.values()):
            verbs = [verb for verb in self._headings if self.heading(verb) == heading]
            with formatter.section(heading):
                formatter.write_dl([(verb, self._short(verb)) for verb in verbs])

    def _short(self, verb: str) -> str:
        """What a verb does, in the first sentence of its docstring."""
        run = self._runs.get(verb)
        text = inspect.cleandoc((run.__doc__ if run else docstring_of(verb)) or "")
        return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. A :class:`VerbFailed` becomes one line on stderr and its exit code."""
        value: list[Any] = []

        def run() -> None:
            value.append(click.Group.invoke(self, ctx))

        if code := ended(run, lambda: ctx.invoked_subcommand):
            ctx.exit(code)
        return value[0] if value else None


def command(verb: str, run: VerbFunction) -> click.Command:
    """The click command of a verb."""
    parameters = wanted(run)
    made = [_parameter(one) for one in parameters]
    places = [place for _, told in made for place in told]
    text = inspect.getdoc(run) or ""
    about = "\n\n".join([text, "\b\n" + "\n".join(places)] if places else [text])
    return click.Command(
        verb, params=[one for one, _ in made],
        callback=lambda **values: run(**gathered(parameters, values)), help=about,
        short_help=text.partition("\n\n")[0].partition(". ")[0].rstrip("."),
    )  # fmt: skip


def _parameter(one: VerbParameter) -> tuple[click.Parameter, list[str]]:
    """The click parameter, and what the help says of an argument (click says nothing of them)."""
    name, kind, how, required, value = one.name, one.kind, one.how, one.required, one.default
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


def _version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"rampway {router.__version__}")
        ctx.exit(0)
