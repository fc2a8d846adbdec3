"""The automation dial: simulated whole on the flights, and live."""

import asyncio
import json

import pytest

from tests.people import dial
from tests.people.conftest import ANSWER
from tests.reliability.whole import until

pytestmark = [pytest.mark.people, pytest.mark.xdist_group("dial")]


@pytest.mark.timeout(280)
def test_the_flights_go_from_people_to_partial_and_back_when_the_model_breaks():
    """Done-when 1 of people in the loop; all figures: `python -m tests.people.dial`."""
    pytest.importorskip("sklearn")
    cases = dial.flights("v3", dial.LEARNT + 3_500)
    below, _ = dial.sure_at(cases[: dial.LEARNT], 0.05)
    rest, broken = cases[dial.LEARNT :], dial.BREAKS["inverted"]
    found = asyncio.run(dial.turned(rest, below, broken=broken))
    print(below, json.dumps(found))
    assert found["levels"] == ["human_only", "shadow", "assist", "partial"]
    assert found["automated"] >= 0.60
    assert found["error"] <= found["people_error"]
    assert found["phase"] == "rolled_back"
    assert list(found["weight_bp"]) == [10_000, 0], "people answer everything again"
    assert found["bad_audited"] <= 30


ROLLOUT = """\
    rollout:
      candidate: model
      strategy:
        automation:
          human_only: {hold: 1s}
          shadow: {until: {samples: 40}}
          assist: {until: {samples: 10}}
          partial: {approval: {}}
          full: {bake: 1s}
      gates: [agreement: {at_least: 60%}, guard: {error_rate: 20%}]
      detect: {times: 100, points: 50%}
      rescue: {on: [5xx]}
"""
REVIEW = f"{{below: 90%, audit: 30%, deadline: 0s, answer: {ANSWER}}}"


class Turning:
    """Clients who ask in rounds, and people who answer every question at once."""

    def __init__(self, one):
        self.one, self.asked = one, 0

    @property
    def status(self):
        return self.one.api("root", "/api/v1/rollouts/flights")[1]

    def round(self, distances=(990, 10, 970, 30)):
        """Ask about these, then have people answer: the statuses, and what people were shown."""
        found = []
        for distance in distances:
            self.asked += 1
            found.append(self.one.ask(f"c{self.asked}", distance)[0])
        return found, self.people()

    def people(self):
        shown = []
        while items := self.one.claim("ann", 50):
            for item in items:
                late = item["request"]["instances"][0]["distance"] > 500
                assert self.one.answer("ann", item, late)[0] == 200
            shown += items
        return shown

    def until_step(self, number):
        """Go on until the dial stands there: what people were shown in rounds before that."""
        shown = []

        def there():
            seen = self.round()[1]
            if arrived := self.status["step"] >= number:
                return arrived  # somewhere in this round
            return shown.extend(seen)

        until(lambda: self.status["step"] >= number or there(), 90)
        assert self.status["step"] == number, self.status["reason"]
        return shown


@pytest.mark.timeout(280)
def test_a_live_dial_is_turned_and_taken_back(office):
    asked, broken = [], []

    def model(row):
        asked.append(row)
        p = row["distance"] / 1000
        p = 1.0 - p if broken else p
        return {"late": p > 0.5, "p": p}

    one = office(REVIEW, model, stable="desk", rollout=ROLLOUT)
    turning = Turning(one)
    status, _, headers = one.ask("first", 990)
    assert (status, headers["X-Rampway-Version"]) == (202, "desk")
    assert not asked, "at human_only the model sees nothing"
    turning.until_step(2)
    turning.round()
    until(lambda: asked, 10, "copies")
    shown = turning.until_step(3)
    assert {item["reason"] for item in shown} == {"person"}
    assert all(item["said"] is None for item in shown), "a shadow is not shown to people"
    one.router.in_force()
    one.ask("shown", 990)

    def beside():
        found = [item for item in one.claim("ann") if item["request_id"] == "shown"]
        return found and found[0]["said"] is not None and found

    assert until(beside, 20, "what the model says, at assist")[0]["said"] == [True]
    turning.until_step(4)
    until(lambda: turning.round([990])[0] == [200], 20, "the model answers at partial")
    statuses, shown = turning.round([990, 600, 10, 450])
    assert statuses == [200, 202, 200, 202]
    assert {item["reason"] for item in shown} >= {"unsure"}
    until(lambda: turning.round() and turning.status["phase"] == "awaiting_approval", 30)
    broken.append(True)
    answered = []

    def taken_back():
        answered.extend(turning.round()[0])
        return turning.status["phase"] == "rolled_back"

    until(taken_back, 30, "a rollback")
    print(f"taken back after {answered.count(200)} wrong answers, of which 30 % are audited")
    assert "agreement" in turning.status["reason"]
    one.router.in_force()
    assert turning.round()[0] == [202] * 4, "people answer everything again"
    told = until(
        lambda: (of := one.standing()["versions"]["model"])["audit"]["overruled"] > 0 and of, 10,
    )  # fmt: skip
    assert told["unsure"]["overruled"] == 0
    log = str(one.router.folder / "log.db")
    status, said = one.run("review", "curve", log, "--route", "flights", "--version", "model",
                           "--error", "30%", "-o", "json")  # fmt: skip
    assert status == 0, said
    points = json.loads(said)["points"]
    assert points, "what people said of its answers"
    assert points[-1]["wrong"] > 0, "it broke"
