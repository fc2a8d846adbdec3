"""The shadow in a line, for `get` and `why`, and in full."""

from __future__ import annotations

import json

import pytest

from router.cli.show import shadow_lines
from router.core.pairs.compare import Compare
from router.core.pairs.shadow import ShadowBook, Terms
from router.core.wire.counts import MirrorCounts, PairSample
from tests.cli.told import rollout
from tests.core.pairs.judged import as_told, judged_by

BRIEF = {
    "pairs": 1_204, "agreement": 0.984, "agreed": 1_185, "disagreed": 15, "failed": 4,
    "unusable": 0, "stricter": 12, "looser": 3, "learning": False, "uncompared": 0,
    "awaited": 0, "alarm": "", "rows": 1_204, "unusable_because": {},
    "score": {"pairs": 0, "mean": None, "far_share": None, "far": 0.05, "max": None},
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
    assert shadow_lines(rollout(shadow={**BRIEF, **changed})) == expected


@pytest.mark.parametrize("verb", ["get", "why"])
def test_get_and_why_show_it(router, monkeypatch, verb):
    plain = router.controller.plain_rollout
    monkeypatch.setattr(
        router.controller, "plain_rollout", lambda name: plain(name) | {"shadow": BRIEF}
    )
    assert LINE in router.run(verb, "flight-delay").out


@pytest.mark.parametrize("verb", ["get", "why"])
def test_without_a_shadow_there_is_no_line(router, verb):
    assert "pairs" not in router.run(verb, "flight-delay").out


def compared(monkeypatch, controller, **settings):
    """The fake router's shadow with pairs in it: 3 agree, 2 do not."""
    settings = {"score": "y", "segment": {"header": "X-Country"}, "redact": ["secret"]} | settings
    book = ShadowBook(Terms("v1", "v2", Compare.model_validate(settings), "json"))
    for number, (segment, score) in enumerate(
        [("de", 0.9), ("de", 0.9), ("fr", 0.9), ("fr", 0.2), ("fr", 0.1)]
    ):
        answers = [
            json.dumps({"y": y, "word": word, "secret": word}).encode()
            for y, word in ((0.9, "up"), (score, "up" if score == 0.9 else "\x1b[2Jdown"))
        ]
        pair = PairSample("flight-delay", "v2", 1, f"id-{number}", 200, 200, *answers,
                          primary_s=0.01, shadow_s=0.02, segment=segment)  # fmt: skip
        book.add(pair, judged_by(book, pair), 1_764_000_000.0)
    book.mirrored(MirrorCounts("flight-delay", "v2", 5, 1, {"queue": 7}))
    told = as_told(book, route="flight-delay")
    monkeypatch.setattr(controller, "shadow", lambda _: told)


def test_shadow_shows_figures_segments_and_the_worst(router, monkeypatch):
    compared(monkeypatch, router.controller)
    ended = router.run("shadow", "flight-delay", "--worst", "1")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "flight-delay: v2 beside v1 (payload json)"
    assert "  5 pairs, 60.0 % agree, 2 stricter, 0 looser, 0 failed; scores 0.3" in ended.out
    assert "  positive: candidate 60.0 %, stable 100 %" in lines
    assert "  copies: 5 delivered, 1 failed, 7 dropped (queue)" in lines
    assert [line.split() for line in lines if line.startswith(("  de", "  fr"))] == [
        ["de", "2", "100", "%"], ["fr", "3", "33.3", "%"],
    ]  # fmt: skip
    assert "  id-4, 2025-11-2" in ended.out
    assert "stricter, scores 0.8 apart, segment fr" in ended.out
    assert "id-3" not in ended.out
    assert "\x1b[2J" not in ended.out
    rows = [line.split() for line in lines if line.startswith("    ")]
    assert ["word", "text", "up", "?[2Jdown", "yes"] in rows
    assert ["secret", "text", "***", "***", "yes"] in rows


def test_shadow_without_disagreements_and_as_json(router, monkeypatch):
    compared(monkeypatch, router.controller)
    assert "id-" not in router.run("shadow", "flight-delay", "--worst", "0").out
    told = router.run("shadow", "flight-delay", "-o", "json").json
    assert len(told["versions"]["v2"]["worst"]) == 2


def test_shadow_before_any_pair(router):
    ended = router.run("shadow", "flight-delay")
    assert ended.code == 0
    assert "  0 pairs" in ended.out
