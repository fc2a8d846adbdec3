"""Who asks again so soon has not taken the answer."""

import json
from dataclasses import replace

import pytest

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.logged.terms import LogTerms
from router.core.policy.kept import log_terms
from router.link.frames import Frames
from router.link.reading import KINDS, Logging, Ripened
from router.reader import asking
from router.reader.clerk import Clerk
from router.reader.keeper import LogKeeper
from tests.reader.test_log_rows import RULES, SAID, sample

AGAIN_S = 60.0


class Users:
    def __init__(self, tmp_path):
        self.now = 1000.0
        self.clerk = Clerk(LogKeeper(), lambda: self.now)
        rules = replace(RULES, again_s=AGAIN_S)
        self.clerk.said(Logging(LogTerms(str(tmp_path / "log.db"), 1e9, 10**9, 60.0, (rules,))))

    def ask(self, user, after=0.0, **changes):
        self.now += after
        body = json.dumps({"predictions": SAID[:1]}).encode()
        self.clerk.sampled(sample(unit=user, request_id=f"{user}-{self.now}", at=self.now,
                                  answer=body, nonce=0, **changes))  # fmt: skip

    def told(self, after=0.0):
        self.now += after
        said = [one for one in Frames(KINDS).feed(self.clerk.due()) if isinstance(one, Ripened)]
        return [(m.unit, m.rows[0].accepted) for one in said for m in one.matured]


def test_soon_is_no_later_is_yes(tmp_path):
    users = Users(tmp_path)
    users.ask(1)
    users.ask(2)
    users.ask(1, after=30.0)
    assert users.told() == [(1, False)]
    assert users.told(31.0) == [(2, True)]
    assert users.told(30.0) == [(1, True)]
    assert users.told(1000.0) == []


def test_who_comes_after_the_time_had_taken_it_and_failures_wait_for_nobody(tmp_path):
    users = Users(tmp_path)
    users.ask(1)
    users.ask(1, after=61.0)
    users.ask(3, status=500)
    users.ask(4, arm="f")
    users.ask(0)
    assert users.told(0.0) == [(1, True)]
    users.ask(3, after=1.0)
    users.ask(1)
    assert users.told(0.0) == [(1, False)], "of what failed nothing was taken or not"


def test_so_many_users_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "USERS_MAX", 3)
    users = Users(tmp_path)
    for user in range(1, 10):
        users.ask(user)
    assert users.told(61.0) == [(1, True), (2, True), (3, True)]


POLICY = """
routes:
  - name: r
    payload: json
    {sticky}
    versions: {{a: {{endpoints: [http://127.0.0.1:1]}}, b: {{endpoints: [http://127.0.0.1:2]}}}}
    stable: a
    log: {{}}
    rollout:
      candidate: b
      strategy: {{canary: {{steps: [{{weight: 5%, hold: 1m}}]}}}}
      gates: [error_rate, trust: {{again: 45s}}]
"""


def test_the_gate_asks_for_it_and_needs_users():
    (route,) = log_terms(loads(POLICY.format(sticky="sticky: {header: X-User}")).policy).routes
    assert route.again_s == 45.0
    with pytest.raises(PolicyError, match="who asks again"):
        loads(POLICY.format(sticky=""))
