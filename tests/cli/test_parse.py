"""Plain command lines are read to what the library that knows all of them reads, or left to it."""

from __future__ import annotations

import random
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import get_args, get_origin

import click
import pytest

from router.__main__ import HIGHER
from router.cli.app import VERBS, run_of
from router.cli.group import command
from router.cli.parse import Argument, _names, plain, wanted

WORDS = ("x", "flight-delay", "5/s", "1h", "a b", "a=b", "ü", "0")
STRANGE = (
    "--",
    "-",
    "",
    "--nope",
    "-h",
    "--help",
    "-5",
    "--dry",
    "-ojson",
    "--output=",
    "99999999",
)


def values(one, chance):
    kind = next((part for part in get_args(one.kind) if part is not NoneType), one.kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return chance.choice(list(kind)).value
    if kind is int:
        return str(max(one.how.least or 0, 1) if isinstance(one.how, Argument) is False else 1)
    return chance.choice(WORDS)


def line(parameters, chance):
    """A command line: what is required, some of the rest, and now and then something strange."""
    out = []
    for one in parameters:
        if isinstance(one.how, Argument):
            many = chance.randint(1, 3) if get_origin(one.kind) is list else 1
            out += [(values(one, chance),)] * many if one.required or chance.random() < 0.5 else []
        elif chance.random() < 0.3 or one.required:
            name = chance.choice(list(_names(one)))
            if one.kind is bool:
                out.append((name,))
            else:
                joined = name.startswith("--") and chance.random() < 0.5
                value = values(one, chance)
                out.append((f"{name}={value}",) if joined else (name, value))
    chance.shuffle(out)
    words = [word for part in out for word in part]
    if chance.random() < 0.3:
        words.insert(chance.randrange(len(words) + 1), chance.choice((*STRANGE, *words)))
    return words


def clicked(verb, run, words):
    """What click reads; None: it refuses, or helps."""
    made = command(verb, run)
    try:
        context = made.make_context(verb, list(words))
    except (click.ClickException, click.exceptions.Exit):
        return None
    return context.params


@pytest.mark.parametrize("verb", [*VERBS, *HIGHER])
def test_what_is_plain_is_read_as_the_whole_language_reads_it(verb, monkeypatch, capsys):
    chance = random.Random(verb)
    run = HIGHER.get(verb) or run_of(verb)
    parameters, read = wanted(run), 0
    monkeypatch.setenv("RAMPWAY_ADMIN", "http://127.0.0.1:7")
    monkeypatch.setenv("RAMPWAY_TOKEN_FILE", "")
    environ = {"RAMPWAY_ADMIN": "http://127.0.0.1:7", "RAMPWAY_TOKEN_FILE": ""}
    for _ in range(40):
        words = line(parameters, chance)
        found = plain(parameters, words, environ)
        if found is not None:
            read += 1
            assert found == clicked(verb, run, words), words
    assert read >= 8, "most lines are plain"


@pytest.mark.parametrize("words", [
    ["--help"], ["-h"], ["--", "x"], ["-"], ["r", "--output", "xml"], ["r", "--output"],
    ["r", "-ojson"], ["r", "-o=json"], ["r", "-o", "json", "--output", "json"],
    ["r", "s", "t", "u"], ["r", "--admin="], ["r", "--admin", "-x"], ["--nope"], [""],
])  # fmt: skip
def test_what_is_not_plain_is_left(words):
    assert plain(wanted(run_of("get")), words, {}) is None


def test_numbers_are_read_within_their_bounds_only():
    parameters = wanted(run_of("promote"))
    read = {
        text: plain(parameters, ["r", "--if-revision", text], {})
        for text in ("7", "-1", "1_0", "x")
    }
    assert {text: found and found["if_revision"] for text, found in read.items()} == {
        "7": 7, "-1": None, "1_0": None, "x": None,
    }  # fmt: skip
    assert isinstance(plain(wanted(run_of("check")), ["a.yaml"], {})["policies"][0], Path)
