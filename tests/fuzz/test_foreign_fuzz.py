"""A short run of the fuzzer of foreign JSON; the long ones are ``make test-fuzz``."""

import random

import pytest

from router.core.payloads import PAYLOADS
from tests.fuzz import foreign_fuzz


@pytest.mark.parametrize("kind", [*PAYLOADS, "requests"])
def test_every_input_is_read_or_unreadable(kind, monkeypatch):
    monkeypatch.setattr(foreign_fuzz, "CPU_S_MAX", float("inf"))  # no times in tests
    seed = random.randrange(10**6)
    run = foreign_fuzz.requests if kind == "requests" else foreign_fuzz.answers
    seen, _ = run(kind, 300, seed)
    share = seen["unreadable"] / seen.total()
    assert kind == "opaque" or 0.05 < share < 0.95, (seed, seen)


def test_the_fuzzer_finds_what_breaks_the_rule(monkeypatch, capsys):
    class Trusting:
        def read(self, body):
            return [float(n) for n in foreign_fuzz.json.loads(body or b"[]")]

    monkeypatch.setitem(PAYLOADS, "opaque", Trusting())
    assert foreign_fuzz.main(["--each", "50"]) == 1
    assert "payload opaque, input 0 of seed 1" in capsys.readouterr().out
