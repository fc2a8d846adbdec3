"""The page reads what the router says: every key that the scripts ask for is there."""

from __future__ import annotations

import re
from importlib.resources import files

import msgspec
import pytest

from router.admin.dashboard import FILES
from router.control.told.compared import JudgeView
from router.control.told.data_views import DataView, PerformanceView, SignalDetailView
from router.control.told.paired import shadow_view
from router.control.told.views import (
    AlarmView,
    GateView,
    HistoryView,
    PolicyView,
    RolloutView,
    RouteSummary,
)
from tests.control.conftest import World, canary

OWN = tuple(sorted(one.name for one in files("router.admin.dashboard").iterdir()
                   if one.name.endswith(".js")))  # fmt: skip
SCRIPT = "\n".join(FILES[name].body.decode() for name in OWN)
ADDED = {"commands"}
"""By the admin server itself."""


def asked(name):
    return set(re.findall(rf"\b{name}\??\.([a-z_]+)\b(?!\()", SCRIPT))


def names(view):
    return {field.encode_name for field in msgspec.structs.fields(view)}


@pytest.mark.parametrize(
    ("name", "view", "least"),
    [
        ("rollout", RolloutView, {"waits_for", "next_advance_at", "draining", "feedback"}),
        ("route", RouteSummary, {"attention", "shares_bp", "requests_per_s", "since"}),
        ("summary", RouteSummary, {"frozen", "attention"}),
        ("gate", GateView, {"verdict", "sentence", "evidence", "limit"}),
        ("history", HistoryView, {"share", "low", "high", "evidence", "margin", "hold_level"}),
    ],
)
def test_what_the_page_asks_of_a_view_is_in_it(name, view, least):
    assert asked(name) - ADDED - {"js", "length"} <= names(view)
    assert least <= asked(name)


def test_the_policy_page_shows_all_of_its_view():
    text = FILES["policy.js"].body.decode()
    shown = set(re.findall(r"\btold\.([a-z_]+)", text))
    assert shown <= names(PolicyView)
    assert names(PolicyView) - shown == {"problems"}  # the report has them as text


@pytest.mark.parametrize(
    ("file", "word", "view"),
    [
        ("performance.js", "told", PerformanceView), ("data.js", "shown", DataView),
        ("data.js", "chosen", SignalDetailView), ("data.js", "alarm", AlarmView),
    ],
)  # fmt: skip
def test_what_pages_of_data_show_is_in_their_views(file, word, view):
    text = FILES[file].body.decode()
    shown = set(re.findall(rf"\b{word}\??\.([a-z_]+)\b(?!\()", text))
    assert shown <= names(view)
    assert len(shown) >= 4


async def test_the_shadow_explorer_asks_for_what_a_tally_has():
    world = await World(canary()).start()
    book = world.reconciler.runs["r"].trial.shadow
    told = shadow_view(book, route="r", rollout="r-1", live=True).to_json()["versions"]["v2"]
    text = FILES["shadow.js"].body.decode()
    wanted = set(re.findall(r"\bone\.([a-z_]+)", text))
    shown = {"request_id", "at", "segment", "score_distance", "direction", "differences"}
    assert wanted <= set(told) | shown
    judged = set(re.findall(r"\bjudge\.([a-z_]+)", text))
    assert judged == names(JudgeView) - {"same"}


def test_everything_that_a_file_refers_to_is_served():
    for name in (*OWN, "index.html"):
        text = FILES[name].body.decode()
        for found in re.findall(r'(?:from "\./|/static/)([\w.-]+\.\w+)"', text):
            assert found in FILES, (name, found)
    assert {"kit.js", "kit.css", "uplot.js", "uplot.css", "preact-htm.js"} <= set(FILES)


def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup():
    for name in (*OWN, "kit.js", "index.html", "style.css", "kit.css"):
        text = FILES[name].body.decode()
        assert not re.search(r"https?://|innerHTML|dangerously|eval\(|new Function", text), name
