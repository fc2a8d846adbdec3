"""Answers that a version is not sure of, over real sockets: held, provisional, refused, audited."""

import json
import time
from collections import Counter

import pytest

from tests.people.conftest import ANSWER, Hook
from tests.reliability.whole import until

pytestmark = [pytest.mark.people, pytest.mark.xdist_group("people")]

HOLD = f"{{below: 90%, deadline: 20s, answer: {ANSWER}}}"


def told_of(one, reason):
    """How often people say otherwise than the model, and how many questions are open."""
    standing = one.standing()
    rated = standing["versions"].get("model", {}).get(reason, {})
    return rated.get("overrule_rate"), standing["open"]


def test_what_the_model_is_sure_of_goes_out_and_the_rest_waits_for_a_person(office):
    one = office(HOLD)
    status, body, headers = one.ask("sure", 990)
    assert (status, body) == (200, {"predictions": [{"late": True, "p": 0.99}]})
    assert headers["X-Rampway-Review"] is None
    answered = one.later("unsure", 600)
    item = one.one("ann")
    assert item["reason"] == "unsure"
    assert item["request"] == {"instances": [{"distance": 600}]}
    assert (item["said"], item["confidence"]) == ([True], pytest.approx(0.6))
    assert one.claim("bob") == [], "given twice"
    assert one.answer("bob", item, False)[0] == 409
    assert one.answer("ann", item, False) == (200, {"id": item["id"], "state": "decided"})
    status, body, headers = answered()
    assert (status, body) == (200, {"predictions": [{"late": False}]})
    assert (headers["X-Request-Id"], headers["X-Rampway-Review"]) == ("unsure", "decided")
    assert one.answer("ann", item, True)[0] == 409, "decided already"
    until(lambda: told_of(one, "unsure") == (1.0, 0), 10)
    status, said = one.run("review")
    assert status == 0, said
    assert "flights: 0 open questions" in said
    assert "100.0%" in said, "overruled"
    # The truth is with the log, and no evidence.
    held = until(lambda: one.api("root", "/api/v1/log")[1]["held"].get("truths"), 15)
    assert held == 1


def test_a_held_answer_ends_by_its_deadline_with_a_place_to_look_again(office):
    one = office(f"{{below: 90%, deadline: 1s, answer: {ANSWER}}}")
    began = time.monotonic()
    status, body, headers = one.ask("late", 600)
    assert status == 202
    assert time.monotonic() - began >= 1
    place = headers["Location"]
    assert (body["review"], headers["X-Rampway-Review"]) == (place, "open")
    assert one.look(place)[0] == 202
    assert one.answer("ann", one.one("ann"), True)[0] == 200
    assert one.look(place)[:2] == (200, {"predictions": [{"late": True}]})
    assert one.look("/rampway/reviews/" + "0" * 32)[0] == 404


def test_one_connection_carries_on_after_it_has_waited(office):
    one = office(f"{{below: 90%, deadline: 0s, answer: {ANSWER}}}")
    link = one.link()
    assert [one.ask(f"r{n}", d, link)[0] for n, d in enumerate((990, 600, 10, 400))] == [
        200, 202, 200, 202,
    ]  # fmt: skip


def test_a_provisional_answer_goes_out_marked_and_is_corrected_later(office):
    hook = Hook(refuses=1)
    one = office(f"{{below: 90%, then: provisional, answer: {ANSWER}, "
                 f"webhook: {{url: '{hook.url}'}}}}")  # fmt: skip
    status, body, headers = one.ask("perhaps", 600)
    assert (status, body) == (200, {"predictions": [{"late": True, "p": 0.6}]})
    assert headers["X-Rampway-Review"] == "provisional"
    assert headers["X-Rampway-Version"] == "model"
    assert one.answer("ann", one.one("ann"), False)[0] == 200
    assert one.look(headers["X-Rampway-Review-At"])[:2] == (200, {"predictions": [{"late": False}]})
    until(lambda: hook.told, 30, "the webhook, which refuses the first time")
    assert (hook.told[0]["request_id"], hook.told[0]["answer"]) == ("perhaps", False)


def test_a_refused_answer_is_refused_at_once_and_asked_about_all_the_same(office):
    one = office("{below: 90%, then: refuse}")
    status, body, _ = one.ask("no", 600)
    assert (status, body["cause"]) == (422, "review")
    assert one.one("ann")["request_id"] == "no"


def test_an_audit_goes_out_at_once_and_is_blind(office):
    one = office("{below: 90%, audit: 100%}")
    status, _, headers = one.ask("sure", 990)
    assert (status, headers["X-Rampway-Review"]) == (200, None)
    item = one.one("bob")
    assert (item["reason"], item["said"], item["confidence"]) == ("audit", None, None)
    one.answer("bob", item, True)
    until(lambda: told_of(one, "audit") == (0.0, 0), 10)


def test_who_may_and_who_may_not(office):
    one = office("{below: 90%, deadline: 0s, by: [ann]}")
    one.ask("r", 600)
    assert one.api("eve", "/api/v1/reviews/claim", {})[0] == 403, "an operator is no reviewer"
    assert one.api("bob", "/api/v1/reviews/claim", {"route": "flights"})[0] == 403
    assert one.claim("bob") == []
    assert one.one("ann")["request_id"] == "r"
    assert one.api("bob", "/api/v1/reviews")[1]["routes"]["flights"]["then"] == "hold"


def test_a_lease_that_is_over_is_somebody_elses(office):
    one = office("{below: 90%, deadline: 0s, lease: 1s}")
    one.ask("r", 600)
    item = one.one("ann")
    assert one.claim("ann")[0]["id"] == item["id"], "the same once more"
    again = until(lambda: one.claim("bob"), 10, "the lease's end")
    assert again[0]["id"] == item["id"]
    assert one.answer("ann", item, True)[0] == 409

    def given_back():  # within bob's own lease, which is short as well
        assert one.claim("bob")[0]["id"] == item["id"]
        return one.api("bob", "/api/v1/reviews/release", {"id": item["id"]})[0] == 200

    until(given_back, 10)
    assert one.claim("ann")[0]["id"] == item["id"]


def test_two_reviewers_who_differ_are_decided_by_a_third(office):
    one = office("{below: 90%, deadline: 0s, second: 100%}")
    one.ask("twice", 600)
    item = one.one("ann")
    assert one.answer("ann", item, True)[1]["state"] == "open"
    assert one.claim("ann") == [], "nobody answers twice"
    assert one.answer("bob", one.one("bob"), False)[1]["state"] == "open"
    assert one.answer("root", one.one("root"), False)[1]["state"] == "decided"
    for n in range(3):
        one.ask(f"r{n}", 600)
        one.answer("ann", one.one("ann"), n > 0)
        one.answer("bob", one.one("bob"), n > 0)
    told = until(lambda: (s := one.standing())["twice"] == 4 and s, 10)
    # Of four pairs three agree; ann says yes three times, bob twice: chance alone has a half.
    assert told["kappa"] == pytest.approx(0.5)


def test_what_nobody_answers_in_time_is_over(office):
    one = office("{below: 90%, deadline: 0s, within: 1s, otherwise: version}")
    place = one.ask("r", 600)[2]["Location"]
    until(lambda: one.look(place)[0] == 200, 10)
    assert one.look(place)[1] == {"predictions": [{"late": True, "p": 0.6}]}
    assert one.claim("ann") == []


def test_beyond_what_may_be_open_or_held_the_client_is_told_so(office):
    one = office("{below: 90%, deadline: 0s, open: 2}")
    assert [one.ask(f"r{n}", 600)[0] for n in range(3)] == [202, 202, 503]
    assert one.ask("sure", 990)[0] == 200


def test_beyond_what_may_be_held_nobody_waits(office):
    one = office("{below: 90%, deadline: 20s, held: 2}")
    waiting = [one.later(f"r{n}", 600) for n in range(2)]
    until(lambda: one.standing()["open"] == 2, 15)
    status, body, headers = one.ask("third", 600)
    assert (status, body["cause"], headers["Retry-After"]) == (503, "review", "1")
    for item in one.claim("ann", 2):
        one.answer("ann", item, True)
    assert [join()[0] for join in waiting] == [200, 200]


def test_a_client_that_leaves_gives_its_place_back(office):
    one = office("{below: 90%, deadline: 20s, held: 1}")
    link = one.link()
    body = json.dumps({"instances": [{"distance": 600}]})
    link.request("POST", "/p", body, {"Content-Type": "application/json"})
    until(lambda: one.standing()["open"] == 1, 15)
    link.close()
    asked = []  # 503 until it is seen that the first has left

    def next_is_held():
        asked.append(one.later("next", 600))
        return one.standing()["open"] == 2

    until(next_is_held, 15)
    for item in one.claim("ann", 2):
        one.answer("ann", item, True)
    assert Counter(answered()[0] for answered in asked)[200] == 1


def test_a_drain_keeps_nobody_waiting_for_people(office):
    one = office("{below: 90%, deadline: 30s}")
    answered = one.later("r", 600)
    until(lambda: one.standing()["open"] == 1, 15)
    one.router.terminate()
    status, _, headers = answered()
    assert (status, headers["Connection"]) == (202, "close")
