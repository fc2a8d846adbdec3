"""A shadow by whole users, live: all requests of a chosen user are copied, and none of others."""

import json

import pytest

from tests.batch.models import Model, ask
from tests.live.kit import Lab

pytestmark = [pytest.mark.batch, pytest.mark.xdist_group("traffic")]

ROUTE = """\
  - name: r
    match: {{path: /r*}}
    payload: json
    pin: true
    sticky: {{{sticky}}}
    predictions: {{label: label}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{shadow: {{mirror: {{share: {share}, unit: user}}, hold: 1h}}}}
      gates: [agreement: {{at_least: 10%}}, guard]
"""
USERS = 97
"""Of `ask`: request n is of user n modulo this."""
BODIES = [json.dumps({"x": n, "user": {"id": f"u{n % USERS}"}}).encode() for n in range(970)]


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path, names=()) as one:
        yield one


def users(model):
    """Requests by user, of what a model was asked."""
    found = {}
    for _, body in model.asked:
        document = json.loads(body)
        found.setdefault(document["user"]["id"], set()).add(document["x"])
    return found


@pytest.mark.parametrize("sticky", ["header: X-User-Id", "json: user.id"])
async def test_all_requests_of_a_chosen_user_are_copied_and_none_of_others(lab, sticky):
    async with Model() as v1, Model(lambda asked: asked["x"] // USERS % 2) as v2:
        lab.write(ROUTE.format(v1=v1.url, v2=v2.url, share="40%", sticky=sticky))
        await lab.start()
        await lab.begun()
        pinned = "X-Rampway-Pin: v1\r\n"
        await ask(lab.port, BODIES[:485], per_s=400)
        await ask(lab.port, BODIES[485:], per_s=400, fields=pinned)
        served = users(v1)
        assert set(map(len, served.values())) == {10}

        def compared(status):
            """All copies are there; they may come faster than they are compared, not all are."""
            copied = users(v2)
            pairs = (status["shadow"] or {"pairs": 0})["pairs"]
            return (
                all(served[user] == asked for user, asked in copied.items())
                and status["gates"][0]["candidate"]["total"] == len(copied)
                and len(copied) < pairs <= len(v2.asked)
            )

        told = await lab.until(compared)
        copied = users(v2)
        # 40 % of 97: five standard deviations are 24 users.
        assert 15 <= len(copied) <= 63
        # A user's pairs may have one cause: one of each is evidence.
        step = told["plan"]["steps"][0]
        assert (step["mirror_bp"], step["mirror_users"]) == (4_000, True)
        await lab.end()
        await lab.start()
        await lab.begun()
        v2.asked = []
        await ask(lab.port, BODIES[:USERS], per_s=400)
        after = await lab.until(
            lambda s: (
                s["shadow"]["pairs"] > told["shadow"]["pairs"] and set(users(v2)) == set(copied)
            )
        )  # the same users, in another life of the router
        agreement = next(gate for gate in after["gates"] if gate["gate"] == "agreement")
        assert agreement["candidate"]["total"] == len(copied), "who had a pair has had it"


async def test_0_percent_of_the_users_are_none(lab):
    step = "canary: {steps: [{mirror: {share: 0%, unit: user}, hold: 1h}, {weight: 1%, hold: 1h}]}"
    async with Model() as v1, Model() as v2:
        text = ROUTE.format(v1=v1.url, v2=v2.url, share="40%", sticky="header: X-User-Id")
        lab.write(
            text.replace("shadow: {mirror: {share: 40%, unit: user}, hold: 1h}", step).replace(
                "agreement: {at_least: 10%}, ", ""
            )
        )
        await lab.start()
        await lab.begun()
        await ask(lab.port, BODIES, per_s=1_000)
        assert (len(v1.asked), len(v2.asked)) == (970, 0)
