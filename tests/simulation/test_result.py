"""Summaries and how they are shown."""

import json
import math
import re

import pytest

from router.core.gates import GATES
from router.simulation.report import render_html, render_json, render_text
from router.simulation.result import Spread, many, percentile, simulate
from router.simulation.run import Setup
from router.simulation.scenario import LatencyModel, Scenario

SETUP = Setup.constant(500, [GATES["error_rate"]()])


@pytest.fixture(scope="module")
def result():
    return simulate(SETUP, Scenario(candidate_rate=0.5, duration_s=600.0), runs=10)


def test_percentiles_are_values_that_occurred():
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(1, 101), 0.95) == 95
    assert percentile([5], 0.95) == 5
    assert math.isnan(percentile([], 0.5))
    assert Spread.of([1.0, 2.0, 10.0]) == Spread(2.0, 10.0)


def test_the_scenario_and_its_equal_twin_are_both_run(result):
    assert (len(result.runs), len(result.equal)) == (10, 10)
    assert result.share("rolled back") == 1.0
    assert result.false_rollbacks == 0.0
    assert result.bad.median <= 4
    assert result.seconds.p95 < 60
    assert math.isnan(result.promotion.median)


def test_equal_versions_are_run_once():
    found = simulate(SETUP, Scenario(duration_s=60.0), runs=3)
    assert found.runs is found.equal


def test_runs_in_processes_are_the_same_runs():
    scenario = Scenario(candidate_rate=0.5, duration_s=60.0)
    alone, pooled = many(SETUP, scenario, range(8)), many(SETUP, scenario, range(8), 2)
    assert alone == pooled


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        simulate(SETUP, Scenario(), runs=0)


def test_text_has_every_number(result):
    text = render_text(result)
    assert "world: 50 requests/s, requests assigned, 10m at most" in text
    assert "runs: 10: rolled back 100 %" in text
    assert "false rollbacks: 0 % of 10 runs of an equal candidate (promised at most 1 %)" in text
    assert re.search(r"bad answers before rollback: median \d+, p95 \d+", text)
    assert "time to promote an equal candidate: never" in text
    assert "error_rate: failed: candidate" in text
    late = simulate(
        SETUP, Scenario(candidate_rate=0.5, change_at_s=300.0, duration_s=600.0, users=50), runs=1
    )
    assert "candidate: bad in 50.0 % from 5m on" in render_text(late)
    assert "users assigned" in render_text(late)


def test_json_is_json(result):
    data = json.loads(render_json(result))
    assert data["outcomes"]["rolled back"] == 1.0
    assert data["seconds_to_promotion"] == {"median": None, "p95": None}
    assert data["timeline"][-1]["weight_bp"] == 0


def test_the_page_needs_nothing_else(result):
    page = render_html(result)
    assert not re.search(r'(src|href)="|url\(|<script|@import', page)
    assert page.count("<svg") == page.count("</svg>") == 3
    assert page.count("<polyline") == 3
    assert "roll back" in page
    for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", page.split("<polyline", 1)[1]):
        assert 0 <= float(x) <= 720
        assert 0 <= float(y) <= 200


def test_a_page_without_rollbacks_has_no_histogram():
    found = simulate(SETUP, Scenario(duration_s=60.0, latency=LatencyModel()), runs=1)
    assert render_html(found).count("<svg") == 2
