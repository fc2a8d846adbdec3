"""docs/commands.md: every verb with its arguments and options, from the command itself."""

import inspect

import click

from router.__main__ import app
from router.cli.exits import Exit

MEANINGS = {
    Exit.OK: "done, or so already",
    Exit.UNEXPECTED: "an error of the program; of `diff`, `replay`, `judge`: a difference",
    Exit.USAGE: "wrong arguments, an unknown route, an invalid policy",
    Exit.DEGRADED: "the rollout was rolled back or aborted",
    Exit.TIMED_OUT: "too late",
    Exit.CONFLICT: "somebody was faster, or the rollout does not allow it now",
    Exit.UNREACHABLE: "no router answers",
    Exit.NOT_PERMITTED: "the token is missing, wrong, or of a smaller role",
}


def commands_page() -> str:
    """The page."""
    lines = [
        "# Commands",
        "",
        "Drawn from the program by `make docs`. `rampway VERB --help` prints the same.",
        "",
        "Verbs that ask a router find it by `--admin` or `RAMPWAY_ADMIN` (default",
        "`http://127.0.0.1:8081`), and take a token from `--token-file` or `RAMPWAY_TOKEN`.",
        "",
        "| exit code | meaning |",
        "| --- | --- |",
        *(f"| {code.value} | {MEANINGS[code]} |" for code in Exit),
        "",
    ]
    context = click.Context(app, info_name="rampway")
    headings = {verb: app.heading(verb) for verb in app.list_commands(context)}
    for heading in dict.fromkeys(headings.values()):
        lines += [f"## {heading}", ""]
        for verb in (verb for verb, under in headings.items() if under == heading):
            lines += _verb(verb, app.get_command(context, verb), context)
    return "\n".join(lines)


def _verb(verb: str, command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(click.Context(command, context, verb)))
    text = inspect.cleandoc((command.help or "").partition("\b")[0])
    places = (command.help or "").partition("\b")[2].strip().splitlines()
    lines = [f"### {verb}", "", text, "", f"`rampway {verb} {usage}`", ""]
    lines += [
        f"* `{line.split('  ')[0]}`: {line.strip().split('  ', 1)[1]}"
        for line in map(str.strip, places)
    ]
    lines += [""] if places else []
    options = [p for p in command.params if isinstance(p, click.Option)]
    records = [record for p in options if (record := p.get_help_record(context))]
    if records:
        lines += ["| option | meaning |", "| --- | --- |"]
        lines += [f"| `{name}` | {_cell(text)} |" for name, text in records]
        lines.append("")
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
