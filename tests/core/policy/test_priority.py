"""Batch traffic, whole users and disagreements in a policy: what is refused, what it comes to."""

import pytest

from router.config.check import load
from router.config.problems import PolicyError
from router.core.policy.priority import Priority
from router.core.strategies.shadow import Shadow


@pytest.mark.parametrize(("ahead", "weight_bp", "share_bp"), [
    (5, 0, 0), (5, 100, 500), (5, 1_000, 5_000), (5, 2_000, 10_000), (5, 9_999, 10_000),
    (5, 10_000, 10_000), (1, 3_000, 3_000), (1_000, 1, 1_000),
])  # fmt: skip
def test_batch_has_so_many_times_the_weight_and_at_0_percent_nothing(ahead, weight_bp, share_bp):
    forced = Priority(header="X-P", ahead=ahead).forced_bp(weight_bp)
    assert 0 <= forced <= 10_000
    assert forced + (10_000 - forced) * weight_bp / 10_000 == pytest.approx(share_bp, abs=1)
    assert (forced == 0) == (ahead == 1 or weight_bp in (0, 10_000))


def test_a_mirror_is_written_short_unless_users_are_meant():
    plain = Shadow.model_validate({"mirror": "10%", "hold": "1h"})
    users = Shadow.model_validate({"mirror": {"share": "10%", "unit": "user"}, "hold": "1h"})
    assert plain.model_dump(mode="json")["mirror"] == "10%"
    for one in (plain, users):
        again = Shadow.model_validate(one.model_dump(mode="json"))
        assert again == one
        assert again.plan() == one.plan()
    steps = [one.plan().steps[0] for one in (plain, users)]
    assert [(step.mirror_bp, step.mirror_users) for step in steps] == [
        (1_000, False),
        (1_000, True),
    ]


ROUTE = """\
routes:
  - name: r
    payload: {payload}
    versions: {{v1: {{endpoints: [http://127.0.0.1:1]}}, v2: {{endpoints: [http://127.0.0.1:2]}}}}
    stable: v1
    {more}
    rollout:
      candidate: v2
      strategy: {strategy}
"""
USERS = "{shadow: {mirror: {share: 10%, unit: user}, hold: 1h}}"
CANARY = "{canary: {steps: [{weight: 5%, hold: 1h}]}}"


@pytest.mark.parametrize(("strategy", "payload", "more", "said"), [
    (USERS, "json", "", "expected sticky beside mirror.unit: user"),
    ("{shadow: {mirror: 0%, hold: 1h}}", "json", "", "expected more than 0%"),
    (USERS, "opaque", "sticky: {header: X-U}\n    review: {disagreement: 5%}",
     "expected a payload beside review.disagreement"),
    (CANARY, "json", "review: {disagreement: 5%}", "no answers differ"),
    (CANARY, "json", "priority: {header: Ho st}", "priority.header"),
    (CANARY, "json", "priority: {header: X-P, batch: []}", "priority.batch"),
])  # fmt: skip
def test_what_cannot_work_is_said(tmp_path, strategy, payload, more, said):
    file = tmp_path / "policy.yaml"
    file.write_text(ROUTE.format(strategy=strategy, payload=payload, more=more))
    try:
        told = "\n".join(map(str, load(file, {}).warnings))
    except PolicyError as error:
        told = str(error)
    assert said in told
