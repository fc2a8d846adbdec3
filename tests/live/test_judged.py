"""A judge outside decides: policy, real bytes, a real judge over a socket, verdict, replay.

One router with a route a case, two services, and a :mod:`prediction_services.judge` for each habit.
The rule finds answers that cannot be used (`judge: {...}` against the services' nulls).
"""

import contextlib
import http.client
import itertools
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import rampway
from tests.live import test_predictions as live
from tests.live.test_every_gate import asked
from tests.reliability.whole import PREDICT, START_S, Router, call, until

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("judge")]  # one router, in order

both = live.both

MODEL = ", model: m"
CASES = {
    "worse": ("rule", ""),
    "worse-model": ("rule", MODEL),
    "fine": ("rule", ""),
    "first": ("first", ""),
    "hang": ("hang", ""),
    "long": ("long", ""),
    "nonsense": ("nonsense", MODEL),
    "refuse": ("refuse", ""),
    "budget": ("tie", ", budget: {calls: 20}"),
}
"""Route: its judge's habit, and what its gate says more."""
DEAF = ("hang", "long", "nonsense", "refuse")

ROUTE = """\
  - name: {name}
    match: {{headers: {{X-Case: {{exact: {name}}}}}}}
    payload: open_inference_v2
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{shadow: {{mirror: 100%, hold: {hold}, then: {{blue_green: {{bake: 1s}}}}}}}}
      gates:
        - judge: {{url: "{judge}/judge", sample: 100%, margin: 20%, timeout: {timeout}{more}}}
"""


class JudgeProcess:
    """One ``python -m prediction_services judge``."""

    def __init__(self, habit, folder):
        self.port_file = folder / f"{habit}.port"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prediction_services", "judge", "--habit", habit,
             "--port-file", str(self.port_file), "--exit-with-parent"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def url(self):
        file = self.port_file
        until(lambda: file.exists() and file.read_text().strip(), START_S, file.name)
        return f"http://127.0.0.1:{int(file.read_text())}"

    @property
    def asked(self):
        return call(self.url)[1]["asked"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judges")
    made = {habit: JudgeProcess(habit, folder) for habit in {habit for habit, _ in CASES.values()}}
    yield made
    for one in made.values():
        one.end()


@pytest.fixture(scope="module")
def router(tmp_path_factory, both, judges):
    folder = tmp_path_factory.mktemp("router")
    v1, v2 = (service.url for service in both)
    policy = folder / "policy.yaml"
    policy.write_text(live.TOP.format(folder=folder) + "".join(
        ROUTE.format(
            name=name, v1=v1, v2=v2, judge=judges[habit].url, more=more,
            hold="1s" if name == "fine" else "1h",
            timeout="300ms" if name in DEAF else "20s",
        )
        for name, (habit, more) in CASES.items()
    ))  # fmt: skip
    made = Router(folder, policy)
    made.serving()
    yield made
    made.end()


def ask(router, name, *, until_):
    """Requests one by one until it is so; every answer is a good one."""
    client = http.client.HTTPConnection("127.0.0.1", router.port, timeout=20)
    carriers = itertools.cycle(["UA", "AA", "FL", "DL"])
    with contextlib.closing(client):
        deadline = time.monotonic() + live.ASKED_S_MAX
        number = 0
        while time.monotonic() < deadline:
            client.request("POST", PREDICT, asked(number, next(carriers)), {"X-Case": name})
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200
            number += 1
            if number % 5 == 0 and until_():
                return number
    raise AssertionError(f"{name}: {live.status(router, name)}")


def judged(router, name):
    """What the API says of its judge."""
    status, said = router.api(f"/api/v1/rollouts/{name}/shadow")
    assert status == 200
    (view,) = said["judges"]
    return view


def series(router, name, result):
    """What metrics have of it."""
    wanted = f'rampway_judge_pairs_total{{route="{name}",gate="judge",result="{result}"}} '
    rows = router.api("/metrics")[1].splitlines()
    return sum(int(float(row.split()[-1])) for row in rows if row.startswith(wanted))


@pytest.mark.parametrize("name", ["worse", "worse-model"])
def test_a_candidate_whose_answers_cannot_be_used_is_taken_back(router, both, name):
    both[1].faults(null_rate=1.0)
    live.ready(router, name)
    took = ask(router, name, until_=lambda: live.decided(router, name))
    said = live.status(router, name)
    print(f"{name}: after {took} requests: {said['reason']}")
    assert said["phase"] == "rolled_back"
    assert said["reason"].startswith("judge: called worse than stable's answer in ")
    assert "judge" in rampway("why", name, "--admin", router.admin).out
    shown = rampway("shadow", name, "--admin", router.admin).out
    assert "without a verdict" in shown
    assert "1,000 calls" in shown
    view = judged(router, name)
    assert (view["worse"] >= 8, view["better"], view["place"]) == (True, 0, "")
    assert series(router, name, "stable") >= 8
    assert view["today"]["tokens"] > 0


def test_a_candidate_that_is_as_good_is_promoted(router, both, judges):
    both[1].faults(score_shift=0.001)
    before = judges["rule"].asked
    live.ready(router, "fine")
    ask(router, "fine", until_=lambda: live.status(router, "fine")["phase"] == "completed")
    assert judges["rule"].asked > before


def test_a_judge_that_likes_the_first_place_convicts_nobody_and_is_shown(router, both):
    both[1].faults(score_shift=0.001)
    live.ready(router, "first")
    ask(router, "first", until_=lambda: judged(router, "first")["place"])
    assert live.status(router, "first")["phase"] != "rolled_back"
    assert "stood first better in" in rampway("shadow", "first", "--admin", router.admin).out


@pytest.mark.parametrize("name", DEAF)
def test_a_judge_that_says_nothing_of_use_costs_nothing_but_its_evidence(router, both, name):
    both[1].faults(null_rate=1.0)
    live.ready(router, name)
    ask(router, name, until_=lambda: judged(router, name)["left_alone"])
    said, view = live.status(router, name), judged(router, name)
    print(f"{name}: {view['trouble']}")
    assert (said["phase"], view["worse"], view["unanswered"] >= 5) == ("progressing", 0, True)
    assert "judge has 0 of" in said["waits_for"]
    assert view["trouble"]


def test_no_more_is_asked_than_the_budget_has(router, both, judges):
    both[1].faults(score_shift=0.001)
    live.ready(router, "budget")
    ask(router, "budget", until_=lambda: judged(router, "budget")["today"]["used_up"])
    over = series(router, "budget", "passed_over")
    ask(router, "budget", until_=lambda: series(router, "budget", "passed_over") > over + 10)
    view = judged(router, "budget")
    assert (judges["tie"].asked, view["today"]["calls"]) == (20, 20)
    assert view["today"]["used_up"] == "20 calls"


def test_the_recording_replays_without_a_difference(router):
    """What judges said is in it; this test is the last of its router."""
    said = rampway("replay", str(router.folder / "rec"), "-o", "json")
    decisions = said.json["decisions"]
    assert [one for one in decisions if one["difference"]] == []
    assert sum(one["action"] == "rollback" for one in decisions) == 2
    assert '"verdicts":[["judge",1.0,' in (router.folder / "rec").read_text()
