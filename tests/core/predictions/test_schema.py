"""`predictions:` of a route."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from router.core.gates.agreement import Agreement
from router.core.policy.route import Route
from router.core.predictions.rows import Declared
from router.core.predictions.schema import Predictions

VERSIONS = {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("a", "b")}


def route(predictions, compare=None, payload="v1", **rollout):
    return Route.model_validate({
        "name": "r", "payload": payload, "versions": VERSIONS, "stable": "a",
        "predictions": predictions,
        "rollout": {
            "candidate": "b", "compare": compare or {}, **rollout,
            "strategy": {"shadow": {"mirror": "100%", "until": {"samples": 9}}},
        },
    })  # fmt: skip


def test_what_it_declares():
    spec = Predictions.model_validate({
        "label": "predict", "score": "p", "classes": [0, True, "x"], "range": [0, 1],
        "features": {"age": "numeric"},
    })  # fmt: skip
    assert spec.declared == Declared(
        "predict", "p", "", ("0", "true", "x"), (0.0, 1.0), (("age", "numeric"),)
    )
    assert Predictions.model_validate({"features": ["a", "b"]}).declared.features == (
        ("a", "auto"), ("b", "auto"),
    )  # fmt: skip
    assert Predictions.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(("written", "why"), [
    ({}, "expected at least one of label, score, features"),
    ({"score": "p", "classes": [1]}, "expected label beside classes"),
    ({"label": "p", "range": [0, 1]}, "expected score beside range"),
    ({"score": "p", "range": [1, 1]}, "expected the lower bound first"),
    ({"label": "a b"}, "expected a path such as label"),
    ({"features": {"a": "number"}}, "numeric"),
])  # fmt: skip
def test_what_it_refuses(written, why):
    with pytest.raises(ValidationError, match=why):
        Predictions.model_validate(written)


def test_compare_means_what_is_declared_unless_it_says_so():
    compare = route({"label": "y", "score": "p[1]"}).rollout.compare
    assert (compare.decide_on, compare.score) == (("predictions.y",), "predictions.p")
    assert route({"score": "p"}, payload="json").rollout.compare.decide_on == ("p",)
    compare = route(
        {"label": "y", "score": "p"}, {"decide_on": ["z"], "score": "q"}
    ).rollout.compare
    assert (compare.decide_on, compare.score) == (("z",), "q")
    assert route({"features": ["age"]}).rollout.compare.decide_on == ()


def test_a_dump_is_the_same_route():
    once = route({"label": "y", "score": "p[1]"})
    assert Route.model_validate(once.model_dump(mode="json")) == once


def test_gates_on_pairs_look_at_scores_where_a_range_is_declared():
    gates = route({"score": "p", "range": [0, 1]}).rollout.gates
    assert [gate.apart for gate in gates if isinstance(gate, Agreement)] == [5_000]
    assert [g.apart for g in route({"score": "p"}).rollout.gates if isinstance(g, Agreement)] == [
        None
    ]


def test_an_agreement_by_a_header_has_its_value_with_each_pair():
    by = {"agreement": {"by": {"header": "X-Carrier"}}}
    made = route({"label": "y"}, gates=[by, "positive_rate"])
    assert made.rollout.compare.segment.header == "X-Carrier"
    assert Route.model_validate(made.model_dump(mode="json")) == made
    with pytest.raises(ValidationError, match="expected one header"):
        route({"label": "y"}, {"segment": {"header": "X-Country"}}, gates=[by])
