"""The shadow in a line, for `get` and `why`."""

from __future__ import annotations

import pytest

from router.cli.show import shadow_lines

BRIEF = {
    "pairs": 1_204, "agreement": 0.984, "agreed": 1_185, "disagreed": 15, "failed": 4,
    "unusable": 0, "stricter": 12, "looser": 3, "learning": False, "uncompared": 0, "alarm": "",
}  # fmt: skip
LINE = "1,204 pairs, 98.4 % agree, 12 stricter, 3 looser, 4 failed"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [LINE]),
        ({"alarm": "the shadow is not delivered"}, [LINE, "the shadow is not delivered"]),
        (
            {"score": {"pairs": 900, "mean": 0.036, "far_share": 0.207, "far": 0.05, "max": 0.5}},
            [LINE + "; scores 0.036 apart on average, 20.7 % more than 0.05"],
        ),
        (
            {"pairs": 0, "agreement": None, "learning": True},
            ["0 pairs; noise is being learnt, nothing counts yet"],
        ),
    ],
)
def test_a_line_or_two(changed, expected):
    assert shadow_lines({**BRIEF, **changed}) == expected


@pytest.mark.parametrize("verb", ["get", "why"])
def test_get_and_why_show_it(router, monkeypatch, verb):
    plain = router.controller.rollout
    monkeypatch.setattr(router.controller, "rollout", lambda name: plain(name) | {"shadow": BRIEF})
    assert LINE in router.run(verb, "flight-delay").out


@pytest.mark.parametrize("verb", ["get", "why"])
def test_without_a_shadow_there_is_no_line(router, verb):
    assert "pairs" not in router.run(verb, "flight-delay").out
