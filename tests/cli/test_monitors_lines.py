"""What `rampway monitors` prints of a route's monitors."""

from router.cli.monitors import _lines
from router.control.told.views import MonitorsView

ALARM = {
    "signal": "age",
    "since": 0.0,
    "until": None,
    "accepted": True,
    "sentence": "data drift in age",
    "check": "distribution",
    "cause": "data drift",
    "course": "sudden",
}
SIGNAL = {
    "name": "age", "segment": "", "output": False, "learnt": True, "limit_in_s": 86_400.0,
    "text": "",
    "sizes": {"distribution": 0.25, "nulls": 0.01, "type": 0.0, "outside": 0.0},
}  # fmt: skip


def text(**more):
    known = {"reference": "train.csv", "trouble": "", "requests": 12, "alarms": [], "over": [],
             "signals": []}  # fmt: skip
    return "\n".join(_lines("r", MonitorsView.of(known | more)))


def test_a_route_without_monitors_says_how_to_have_some():
    assert "add `monitors:`" in "\n".join(_lines("r", None))


def test_signals_changes_and_trouble_are_there():
    said = text(alarms=[ALARM], over=[ALARM], signals=[SIGNAL], trouble="train.csv: has no rows")
    assert said.startswith("r: 12 sampled requests beside train.csv\n  train.csv: has no rows\n")
    assert "(accepted): data drift in age" in said
    assert "0.250  +1.0%" in said
    assert "1d" in said


def test_what_is_not_known_yet_is_said():
    signals = [SIGNAL | {"sizes": {}}, SIGNAL | {"sizes": {}, "learnt": False, "output": True}]
    said = text(signals=signals)
    assert "not enough yet" in said
    assert "learning" in said
