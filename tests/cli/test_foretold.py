"""`plan` says what passes unseen and when it is through; virtual time says whether that is true."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from router.cli.plan import date, foretold, rate_text
from router.config import loads
from router.config.check import load
from router.core.policy.forecast import seconds_left, stages
from router.core.policy.power import ExpectedTraffic
from router.simulation.run import Setup, run_once
from router.simulation.scenario import Scenario
from tests.bench.decisions.rollouts import MAY_PASS
from tests.cli.conftest import rampway

FACTOR = 1.5
TIMED = ("latency", "slo", "shadow_slo")
"""Gates that are left out here: worlds that follow each request take minutes for a month."""

POLICY = """
routes:
  - name: r
    versions:
      v1: {endpoints: [http://127.0.0.1:9001]}
      v2: {endpoints: [http://127.0.0.1:9002]}
    stable: v1
    rollout:
      candidate: v2
      strategy: STRATEGY
      gates: [error_rate, guard]
MORE
"""
CANARY = "{canary: {steps: [{weight: 20%, hold: 1m}, {weight: 50%, hold: 1m}], bake: 10m}}"


def policy_of(strategy=CANARY, more=""):
    text = POLICY.replace("STRATEGY", strategy).replace("MORE", more)
    return text, loads(text).policy.routes[0].rollout


def shipped():
    names = ("canary", "blue-green", "guarded-canary", "quickstart", "segments")
    for name in names:
        rollout = load(f"configs/{name}.yaml").policy.routes[0].rollout
        gates = tuple(gate for gate in rollout.gates if gate.kind not in TIMED)
        yield pytest.param(rollout.model_copy(update={"gates": gates}), id=name)


def through(rollout, per_s, seed):
    scenario = Scenario(requests_per_s=per_s, duration_s=200 * 86_400.0)
    run = run_once(Setup.of(rollout), scenario, seed)
    assert run.outcome == "promoted", run.sentence
    return run.at_s


@pytest.mark.parametrize("per_s", [pytest.param(1 / 60, marks=pytest.mark.nightly), 5.0])
@pytest.mark.parametrize("rollout", list(shipped()))
def test_shipped_policies_are_through_when_plan_says(rollout, per_s):
    foreseen = seconds_left(stages(rollout, per_s))
    assert 1 / FACTOR < through(rollout, per_s, 1) / foreseen < FACTOR


@pytest.mark.simulated
@pytest.mark.parametrize("seed", range(3))
def test_a_request_a_minute_is_promoted_by_the_date_that_plan_foretold(seed):
    _, rollout = policy_of()
    foreseen = seconds_left(stages(rollout, 1 / 60))
    assert foreseen > 86_400, "the gates' sample, not the minutes of the policy"
    assert 1 / FACTOR < through(rollout, 1 / 60, seed) / foreseen < FACTOR


def test_the_date_is_said_in_words(tmp_path):
    text, rollout = policy_of()
    now = 1_800_000_000.0
    said = list(foretold(rollout, ExpectedTraffic(1 / 60), now))
    when = date(now, seconds_left(stages(rollout, 1 / 60)))
    assert said[0] == f"at 1 request a minute this takes until {when}"
    assert said[1].startswith("  longest: step 1, ")
    assert "error_rate (" in said[1]
    file = tmp_path / "p.yaml"
    file.write_text(text)
    out = rampway("plan", str(file), "--rate", "1/m").out
    assert "at 1 request a minute this takes until " in out
    assert rampway("plan", str(file), "--rate", "1/m", "-o", "json").json["routes"]["r"][
        "through_s"
    ] == pytest.approx(seconds_left(stages(rollout, 1 / 60)))
    assert "say how many requests there are" in rampway("plan", str(file)).out


def test_weekdays_suffice_for_a_week():
    now = datetime(2026, 11, 24, 9, 0).astimezone().timestamp()
    assert date(now, 5 * 3_600) == "Tuesday 14:00"
    assert date(now, 8 * 86_400) == "Wednesday 2 December 2026 09:00"
    assert (rate_text(50), rate_text(1 / 60)) == ("50 requests a second", "1 request a minute")


WAYS = [
    (CANARY, "", "none; only a person's `promote`"),
    ("{canary: {steps: [{weight: 20%, until: {samples: 0}}], bake: 1m}}", "",
     "step 1 may be left without a judged answer"),
    ("{canary: {steps: [{weight: 20%, hold: 1m}, {approval: {deadline: 4h, then: promote}}]}}", "",
     "is approved by the clock after 4h"),
    (CANARY, "      max_duration: 24h\n      on_inconclusive: promote\n",
     "after 24h it is promoted undecided"),
]  # fmt: skip


@pytest.mark.parametrize(("strategy", "more", "said"), WAYS)
def test_every_way_to_all_traffic_that_nothing_judges_is_named(tmp_path, strategy, more, said):
    file = tmp_path / "p.yaml"
    file.write_text(policy_of(strategy, more)[0])
    out = rampway("plan", str(file)).out.replace("1d ", "24h ")
    assert said in out
    if "none" not in said:
        assert said in rampway("check", str(file)).out.replace("1d ", "24h ")


@pytest.mark.parametrize("way", ["", "mirror: 100%, ", "until: {samples: 0}, "])
def test_a_switch_that_nothing_judges_is_refused_with_the_ways_out(tmp_path, way):
    file = tmp_path / "p.yaml"
    strategy = f"{{blue_green: {{{way}hold: 1h, bake: 30m}}}}"
    file.write_text(POLICY.replace("STRATEGY", strategy).replace("MORE", ""))
    said = rampway("check", str(file))
    assert said.code == (0 if way else 2)
    text = "v2 would get all traffic by the clock alone: nothing judges it in preview"
    assert (text in said.out) is (not way)
    if not way:
        out = "hint: add mirror: 100% there, or approval: {}, or until: {samples: 0} to mean it"
        assert out in said.out
    elif "samples" in way:
        assert "may be left without a judged answer" in said.out


def test_what_passes_unseen_is_named_without_a_rate(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(policy_of()[0])
    out = rampway("plan", str(file)).out
    assert ": a doubling of 0.1 % passes at any traffic; up to 0.21 % is tolerated" in out
    assert "a slower candidate passes: no gate looks at time" in out
    assert "wrong answers with a good status pass: no gate compares them" in out
    measured = rampway("plan", str(file), "--rate", "5/s", "--stable", "2%").out
    assert "where stable fails 2.0 %: up to 2.3 % is tolerated" in measured


PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def passed():
    """Of the page's table: (policy, candidate, rate) of every row that is promoted too often."""
    part = PAGE.read_text().split("<!-- bench-decisions: promoted -->")[1].split("<!-- end -->")[0]
    rows = [line.strip("| \n").split(" | ") for line in part.splitlines() if line[:1] == "|"]
    for name, what, *cells in rows[2:]:
        for rate, cell in zip(("2/s", "50/s", "500/s"), cells, strict=False):
            found = re.fullmatch(r"(\d+) of (\d+)", cell)
            if found and int(found[1]) > MAY_PASS * int(found[2]):
                yield name, what, rate


WORSE_THAN_STABLE = {"2x errors": 2.0, "5x errors": 5.0}


@pytest.mark.parametrize(("name", "what", "rate"), list(passed()))
def test_every_worse_candidate_that_passes_is_named_by_plan(tmp_path, name, what, rate):
    file, _, route = name.partition("/")
    path = Path(f"configs/{file}.yaml")
    if file == "README":
        block = re.findall(r"```yaml\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
        path = tmp_path / "readme.yaml"
        path.write_text(next(one for one in block if "rollout:" in one))
    said = rampway("plan", str(path), route, "--rate", rate).out
    if what not in WORSE_THAN_STABLE:
        assert "no gate looks at time" in said
        return
    least = re.search(r"fails less than ([0-9.]+) % may pass", said)
    assert least, said
    assert WORSE_THAN_STABLE[what] < float(least[1])
