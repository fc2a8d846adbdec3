"""What a policy of people in the loop may say, and what it is told otherwise."""

import pytest

from router.config.check import loads
from router.config.problems import PolicyError

POLICY = """
routes:
  - name: r
    payload: {payload}
    {predictions}
    versions:
      desk: {{person: true}}
      v2: {{endpoints: ["http://127.0.0.1:9002"]}}
    stable: {stable}
    log: {{}}
    {review}
    {more}
"""
DIAL = (
    "rollout: {{candidate: v2, strategy: {{automation: {{shadow: {{hold: 1h}}, partial: {{}}}}}}, "
    "gates: [guard: {{error_rate: 2%}}], {rescue}}}"
)


def policy(review="review: {below: 90%, audit: 5%}", *, stable="desk", rescue="", more="",
           payload="v1", predictions="predictions: {label: late, score: p}"):  # fmt: skip
    dial = DIAL.format(rescue=rescue) if more == "dial" else more
    return POLICY.format(
        review=review, stable=stable, more=dial, payload=payload, predictions=predictions
    )


def test_a_dial_and_a_review_alone_are_fine():
    loads(policy(more="dial"))
    loads(policy(stable="v2"))
    loads(policy("", stable="v2"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (policy("", more="dial"), "expected review on a route with automation"),
        (policy("review: {audit: 5%}", more="dial"), "expected review.below with automation"),
        (policy(stable="v2", more="dial"), "expected people as stable of automation"),
        (policy(predictions="predictions: {label: late}"), "expected predictions.score"),
        (policy("review: {audit: 5%}", payload="opaque", predictions="", stable="v2"),
         "expected a payload beside review.audit"),
        (policy(stable="v2", more="answers: {round: 2}"), "either review or answers"),
        (policy(more="dial", rescue="rescue: {on: [schema]}"), "expected no schema in rescue.on"),
        (policy("review: {answer: 'yes'}"), "expected {answer} where the person"),
        (policy("review: {answer: '{answer'}"), "expected {answer} where the person"),
        (policy("review: {answer: '[{answer}'}"), "expected JSON around {answer}"),
        (policy("review: {deadline: 31s}"), "30s"),
        (policy("review: {by: [ann]}"), "name of a token in by, got 'ann'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_the_fix(text, said):
    with pytest.raises(PolicyError) as told:
        loads(text)
    assert said in str(told.value)
