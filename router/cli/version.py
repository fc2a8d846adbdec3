"""``rampway version``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

import router
from router.cli.options import Format, Output
from router.cli.show import emit

PARTS = ("aiohttp", "httptools", "msgspec", "pydantic", "uvloop")
"""What behaviour depends on; for reports of bugs."""


def run(output: Format = Output.TABLE) -> None:
    """The version of rampway, of Python, and of what it stands on."""
    found = {"rampway": router.__version__, "python": platform.python_version()}
    for part in PARTS:
        try:
            found[part] = installed(part)
        except PackageNotFoundError:
            found[part] = "not installed"
    if output is Output.JSON:
        emit(found)
    else:
        click.echo("\n".join(f"{name} {version}" for name, version in found.items()))
