"""``rampway version``."""

from __future__ import annotations

import platform
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

import router
from router.cli.output import Format, Output
from router.cli.say import echo
from router.cli.show import emit

PARTS = ("aiohttp", "httptools", "msgspec", "pydantic", "uvloop")
"""What behaviour depends on; for reports of bugs."""


def run(output: Format = Output.TABLE) -> None:
    """The version of rampway, of Python, and of what it stands on."""
    found = {
        "rampway": router.__version__,
        "hot path": hot_path(),
        "python": platform.python_version(),
    }
    for part in PARTS:
        try:
            found[part] = installed(part)
        except PackageNotFoundError:
            found[part] = "not installed"
    if output is Output.JSON:
        emit(found)
    else:
        echo("\n".join(f"{name} {version}" for name, version in found.items()))


def hot_path() -> str:
    """What a request runs through: ``compiled``, or ``pure Python``."""
    parser = Path(router.__file__).with_name("http1") / "parser"
    compiled = any(Path(f"{parser}{ending}").exists() for ending in EXTENSION_SUFFIXES)
    return "compiled" if compiled else "pure Python"
