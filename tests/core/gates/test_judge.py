"""Gate judge: who is called better, in which place, and what no verdict is worth."""

import json
import random

import pytest
from pydantic import ValidationError

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.gates import GateContext
from router.core.gates.judge import ASKED_LEAST, JudgeGate
from router.core.gates.sample import Detect
from router.core.gates.verdict import Counts, Verdict
from router.core.policy.forecast import stages
from router.core.wire.judged import JudgedPair
from router.core.wire.outcomes import Batch

URL = "http://127.0.0.1:1/judge"
POLICY = """
routes:
  - name: r
    payload: json
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: [{gate}]
"""


def started(**fields):
    return JudgeGate.model_validate({"url": URL} | fields).start(GateContext())


def told(state, *pairs):
    state.observe(Batch("r", 1, verdicts=pairs))
    return state


def pair(worse, first=0, *, asked=True, gate="judge"):
    return JudgedPair(gate, worse, first, asked)


def test_a_candidate_that_is_called_worse_fails():
    state = told(started(), *[pair(1.0, 1 - 2 * (n % 2)) for n in range(12)])
    assert (state.verdict, state.candidate, state.stable) == (
        Verdict.FAIL, Counts(12, 12), Counts(0, 12),
    )  # fmt: skip
    assert state.sentence() == (
        "called worse than stable's answer in 12, better in 0 of 12 pairs; tolerated: worse more "
        "often than better by 5 pp of pairs; evidence 284 : 1, limit 100 : 1"
    )
    assert state.plain() == (
        "the judge called its answer worse than {stable}'s in 12 of 12 pairs, better in 0"
    )


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([pair(-1.0)] * 200, id="better"),
        pytest.param([pair(1.0), pair(-1.0)] * 200, id="each as often"),
        pytest.param([pair(0.0)] * 200, id="ties"),
        pytest.param([pair(0.0, asked=False)] * 200, id="they say the same"),
        pytest.param([pair(0.04)] * 200, id="scores within the margin"),
        pytest.param([pair(1.0, gate="another")] * 200 + [pair(0.0)], id="another judge's"),
    ],
)
def test_a_candidate_that_is_not_worse_passes(pairs):
    assert told(started(), *pairs).verdict is Verdict.PASS


def test_a_score_counts_for_what_it_is():
    assert told(started(), *[pair(0.5)] * 30).verdict is Verdict.FAIL
    assert told(started(margin="60%"), *[pair(0.5)] * 30).verdict is Verdict.PASS


def test_no_verdict_is_no_bet_and_too_many_of_them_convict_nobody():
    state = told(started(), *[pair(1.0)] * 16)
    before = state.capital
    told(state, *[pair(None)] * 3)
    assert (state.capital, state.verdict, state.unknown) == (before, Verdict.FAIL, 3)
    assert "; 3 of 19 questions got no verdict" in state.sentence()
    told(state, *[pair(None)] * (ASKED_LEAST - 16))
    assert (state.capital, state.enough) == (before, False)
    assert state.verdict is Verdict.PENDING
    assert state.sentence().endswith(
        "7 of 23 questions got no verdict, too many to convict anybody"
    )


def test_a_judge_that_likes_a_place_convicts_nobody_and_is_found():
    draw = random.Random(19)  # whose answer stands first is drawn: so is who is called worse
    state = told(started(), *[pair(draw.choice((1.0, -1.0)), 1) for _ in range(60)])
    assert state.verdict is Verdict.PASS
    assert state.sentence().endswith(
        "it called the answer that stood first better in 60 of 60 (100 %), so it judges places too"
    )
    fair = told(started(), *[pair(-1.0, draw.choice((1, -1))) for _ in range(60)])
    assert fair.bias == ""


def test_all_of_it_outlives_a_restart():
    pairs = [pair(1.0, 1), pair(-1.0, -1), pair(0.0, asked=False), pair(None), pair(0.3, 1)]
    state = told(started(), *pairs)
    again = started()
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert again.snapshot() == state.snapshot()
    assert (again.asked, again.equal, again.unknown, again.verdicts) == (4, 1, 1, 4)
    assert told(again, *pairs).sentence() == told(state, *pairs).sentence()


@pytest.mark.parametrize(("margin", "wanted"), [("5%", 513), ("10%", 111), ("20%", 23)])
def test_a_sample_is_what_a_candidate_that_fails_detect_is_convicted_by(margin, wanted):
    state = told(started(margin=margin), pair(0.0), pair(None))
    assert state.sample(Detect(), 0) == (1, wanted)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sample": "0%"}, "a judge that nobody asks decides nothing"),
        ({"prompt": "{first} {second}"}, "expected model beside prompt"),
        ({"model": "m", "prompt": "which?"}, "expected {first} and {second} in prompt"),
        ({"budget": {"calls": 0}}, "greater than or equal to 1"),
        ({"url": "http://169.254.169.254/"}, "169.254.169.254"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, said):
    with pytest.raises(ValidationError, match=said.replace("{", r"\{").replace("}", r"\}")):
        JudgeGate.model_validate({"url": URL} | fields)


def test_a_dry_run_may_ask_nobody():
    gate = JudgeGate.model_validate({"url": URL, "sample": "0%", "dry_run": True})
    assert (gate.read_share, gate.per_day) == (0.0, 1_000)


def test_bytes_may_name_a_version():
    gate = JudgeGate.model_validate({"url": URL})
    assert [hint for _, hint in gate.doubts("opaque", None)]
    assert not [*gate.doubts("openai", None)]


@pytest.mark.parametrize(
    ("more", "seconds"),
    [("", 513 / 0.5), (", budget: {calls: 100}", 5 * 86_400)],
    ids=["a tenth of five pairs a second", "a hundred questions a day"],
)
def test_a_forecast_knows_the_share_and_the_budget(more, seconds):
    gate = f'judge: {{url: "{URL}", sample: 10%{more}}}'
    shadow = "{shadow: {mirror: 100%, hold: 1m, then: {blue_green: {bake: 1m}}}}"
    policy = loads(POLICY.format(gate=gate, strategy=shadow)).policy
    first = next(stages(policy.routes[0].rollout, 5.0))
    assert first.lasts_s == pytest.approx(seconds)
    assert first.because == "judge (513 verdicts at 100 %)"


def test_a_policy_without_pairs_is_refused_with_the_key_that_makes_them():
    text = POLICY.format(
        gate=f'judge: {{url: "{URL}"}}', strategy="{canary: {steps: [{weight: 9%}]}}"
    )
    with pytest.raises(PolicyError) as refused:
        loads(text)
    assert "expected a step with mirror, which judge compares" in str(refused.value)
    assert "begin with - {mirror: 100%" in str(refused.value)


def test_where_a_judge_reads_answers_no_gate_comes_by_itself():
    """Answers of a model that writes them anew never agree; the judge is there for that."""
    text = POLICY.format(
        gate=f'judge: {{url: "{URL}"}}', strategy="{shadow: {mirror: 9%, hold: 1m}}"
    )
    assert [gate.kind for gate in loads(text).policy.routes[0].rollout.gates] == ["judge"]
