"""What the command line says, and asks; without the library that reads its arguments."""

from __future__ import annotations

import sys
from typing import Final

_CODES: Final = {"red": 31, "green": 32, "yellow": 33, "cyan": 36}


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """A line on stdout, or stderr; ``nl``: with its end."""
    out = sys.stderr if err else sys.stdout
    out.write(f"{text}\n" if nl else text)
    out.flush()


def style(text: str, colour: str) -> str:
    """The text in one of a terminal's colours."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def confirm(text: str, *, err: bool = False) -> bool:
    """Ask for a yes or a no; whoever types neither but Ctrl-C or Ctrl-D ends the command."""
    import click  # noqa: PLC0415 - seldom needed, and slow to import

    try:
        return click.confirm(text, err=err)
    except click.Abort:
        raise KeyboardInterrupt from None
