"""The fuzz entry runs, and finds a fault put there on purpose."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import Phase, settings

from router.http1 import reader
from tests.fuzz.http1_fuzz import main, one_input


def test_a_short_search_finds_nothing(capsys):
    assert main(["--examples", "100", "--no-atheris"]) == 0
    assert "100 examples" in capsys.readouterr().out


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_long_search_finds_nothing(seed):
    assert main(["--examples", "20000", "--seed", str(seed), "--no-atheris"]) == 0


def test_the_guided_form_takes_any_bytes():
    rng = random.Random(7)
    for length in range(60):
        one_input(rng.randbytes(length))


@pytest.fixture
def unshrunk():
    """What is found is not made smaller, which takes most of the time."""
    settings.register_profile("unshrunk", phases=[Phase.generate])
    settings.load_profile("unshrunk")
    yield
    settings.load_profile("default")


def test_a_verdict_that_depends_on_the_cuts_is_found(monkeypatch, unshrunk):
    # The classic fault: a CR that is the last byte of a read is taken for a bare one.
    monkeypatch.setattr(reader, "stray_in_fields", re.compile(rb"\r(?!\n)").search)
    with pytest.raises((AssertionError, ExceptionGroup)):
        main(["--examples", "1000", "--no-atheris"])
