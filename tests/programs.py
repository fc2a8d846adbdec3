"""Programs of the tests: what is missing on a machine is told in a sentence, with exit status 2."""

from __future__ import annotations

import importlib.util
import sys

import pytest

MISSING = 2


def ends_for_want(what):
    """End this program: ``what`` names what it wants, and how to get it."""
    sys.stderr.write(f"{what}\n")
    sys.exit(MISSING)


def wants_asyncpg():
    """Before anything that imports it."""
    if importlib.util.find_spec("asyncpg") is None:
        ends_for_want("wants asyncpg: pip install 'rampway[postgres]'")


def run(main):
    """Call it; what a test would be skipped for ends a program."""
    wants_asyncpg()
    try:
        return main()
    except pytest.skip.Exception as missing:
        ends_for_want(missing.msg)
