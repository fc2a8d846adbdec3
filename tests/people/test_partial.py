"""At `partial`, live: who is held is answered by the deadline; a failing model is people's."""

import pytest

from tests.people.conftest import ANSWER
from tests.reliability.whole import until

pytestmark = [pytest.mark.people, pytest.mark.xdist_group("dial")]

ROLLOUT = """\
    rollout:
      candidate: model
      strategy:
        automation:
          shadow: {until: {samples: 0}}
          partial: {hold: 1h, approval: {}}
      gates: [guard: {error_rate: 5%}]
      rescue: {on: [5xx]}
"""
REVIEW = f"{{below: 90%, deadline: 1s, answer: {ANSWER}}}"


def test_held_answers_end_by_their_deadline_and_a_failing_model_is_people_s(office):
    fails = []

    def model(row):
        if fails:
            return None
        return {"late": row["distance"] > 500, "p": row["distance"] / 1000}

    one = office(REVIEW, model, stable="desk", rollout=ROLLOUT)

    def status():
        return one.api("root", "/api/v1/rollouts/flights")[1]

    until(lambda: status()["weight_bp"] == 10_000, 30, "partial")
    one.router.in_force()
    assert one.ask("sure", 990)[0] == 200
    asking = [one.later(f"held-{n}", 600) for n in range(20)]
    answered = [join() for join in asking]  # each within its own timeout
    assert [code for code, _, _ in answered] == [202] * 20
    assert {headers["X-Rampway-Version"] for _, _, headers in answered} == {"model"}
    places = [headers["Location"] for _, _, headers in answered]
    assert [one.look(place)[0] for place in places] == [202] * 20
    fails.append(True)
    seen = []

    def taken_back():
        code, _, headers = one.ask(f"failing-{len(seen)}", 990)
        seen.append((code, headers["X-Rampway-Version"], headers["Location"]))
        return status()["phase"] == "rolled_back"

    until(taken_back, 90, "the model is taken back")
    assert {(code, version) for code, version, _ in seen} == {(202, "desk")}, "people have them all"
    assert "guard" in status()["reason"]
    items = {}
    while claimed := one.claim("ann", 100):  # a fast machine asks more than can be had at once
        for item in claimed:
            items[item["request_id"]] = item
            assert one.answer("ann", item, True)[0] == 200
    assert {item["reason"] for name, item in items.items() if "failing" in name} == {"person"}
    for place in (places[0], seen[0][2]):
        assert one.look(place)[:2] == (200, {"predictions": [{"late": True}]})
