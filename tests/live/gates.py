"""Every gate with what it is there for: how it is written, a fault that it catches, who is asked.

:mod:`tests.live.test_every_gate` plays them against a live router;
:mod:`tests.live.test_gates_table` asks that no gate is without one.
"""

from __future__ import annotations

from dataclasses import dataclass

CANARY = "{canary: {steps: [{weight: 50%, hold: 1h}], bake: 1h}}"
SHADOW = "{shadow: {mirror: 100%, hold: 1h}}"


@dataclass(frozen=True)
class Case:
    """One gate of one rollout; everything else about it is good."""

    gate: str
    faults: dict
    """Of the candidate, as ``PUT /admin/faults`` takes them."""
    says: str = ""
    """What its sentence has to name: the segment."""
    strategy: str = CANARY
    truth: str = ""
    """What is told of each answer afterwards: label, value, accepted."""
    outside: bool = False
    """It asks somebody outside."""

    @property
    def kind(self) -> str:
        """The gate's name in ``GATES``."""
        return self.gate.lstrip("{").partition(":")[0].strip()


HEADER, FEATURE = "by: {header: X-Carrier}", "by: {feature: carrier}"
"""A quarter of the traffic may be others: only the segment of one carrier fails."""
OF_HEADER, OF_FEATURE = "X-Carrier FL: ", "carrier FL: "

CASES = {
    "error-rate": Case("error_rate: {}", {"error_rate": 0.3}),
    "guard": Case("guard: {error_rate: 5%}", {"error_rate": 0.5}),
    "latency": Case("latency: {}", {"latency_ms": 40}),
    "slo": Case("slo: {slower_than: 100ms}", {"latency_ms": 150}),
    "agreement": Case("agreement: {at_least: 95%}", {"swapped_rate": 0.5}, strategy=SHADOW),
    "agreement-header": Case(
        f"agreement: {{at_least: 95%, {HEADER}}}", {"wrong_carrier": "FL"}, OF_HEADER, SHADOW
    ),
    "agreement-feature": Case(
        f"agreement: {{at_least: 95%, {FEATURE}}}", {"wrong_carrier": "FL"}, OF_FEATURE, SHADOW
    ),
    "positive-rate": Case("positive_rate: {margin: 5%}", {"score_shift": -0.4}, strategy=SHADOW),
    "positive-rate-score": Case(
        "positive_rate: {margin: 30%, score_margin: 2%}", {"score_factor": 0.8}, strategy=SHADOW
    ),
    "positive-rate-header": Case(
        f"positive_rate: {{margin: 30%, score_margin: 20%, {HEADER}}}",
        {"score_constant": 1.0, "only_carrier": "FL"},
        OF_HEADER,
        SHADOW,
    ),
    "positive-rate-feature": Case(
        f"positive_rate: {{margin: 30%, score_margin: 20%, {FEATURE}}}",
        {"score_constant": 1.0, "only_carrier": "FL"},
        OF_FEATURE,
        SHADOW,
    ),
    "shadow-slo": Case("shadow_slo: {slower_than: 100ms}", {"latency_ms": 150}, strategy=SHADOW),
    "nulls": Case("nulls: {}", {"null_rate": 0.1}, "mostly null"),
    "nulls-nan": Case("nulls: {}", {"nan_rate": 0.1}, "mostly NaN"),
    "nulls-unknown": Case("nulls: {}", {"unknown_rate": 0.1}, "mostly of an unknown label"),
    "nulls-limit": Case("nulls: {limit: 0.5%}", {"null_rate": 0.1}, "in all 0.5 %"),
    "nulls-header": Case(
        f"nulls: {{at_most: 30%, {HEADER}}}", {"null_rate": 1, "only_carrier": "FL"}, OF_HEADER
    ),
    "nulls-feature": Case(
        f"nulls: {{at_most: 30%, {FEATURE}}}", {"null_rate": 1, "only_carrier": "FL"}, OF_FEATURE
    ),
    "classes": Case("classes: {}", {"score_shift": -0.3}),
    "classes-header": Case(
        f"classes: {{margin: 30%, {HEADER}}}", {"unknown_rate": 1, "only_carrier": "FL"}, OF_HEADER
    ),
    "classes-feature": Case(
        f"classes: {{margin: 30%, {FEATURE}}}",
        {"unknown_rate": 1, "only_carrier": "FL"},
        OF_FEATURE,
    ),
    "scores": Case("scores: {}", {"score_factor": 0.6}),
    "scores-header": Case(
        f"scores: {{margin: 30%, deciles: 30%, {HEADER}}}",
        {"score_constant": 0.0, "only_carrier": "FL"},
        OF_HEADER,
    ),
    "scores-feature": Case(
        f"scores: {{margin: 30%, deciles: 30%, {FEATURE}}}",
        {"score_constant": 0.0, "only_carrier": "FL"},
        OF_FEATURE,
    ),
    "streams": Case(
        "streams: {first_token: 100ms}", {"latency_ms": 150}, "first token after 100ms"
    ),
    "streams-header": Case(
        f"streams: {{first_token: 100ms, margin: 30%, {HEADER}}}",
        {"latency_ms": 150, "only_carrier": "FL"},
        OF_HEADER,
    ),
    "streams-feature": Case(
        f"streams: {{first_token: 100ms, margin: 30%, {FEATURE}}}",
        {"latency_ms": 150, "only_carrier": "FL"},
        OF_FEATURE,
    ),
    "fairness-header": Case(
        "fairness: {by: {header: X-Carrier}, gap: 20%}",
        {"score_constant": 0.0, "only_carrier": "FL"},
        "FL ",
    ),
    "fairness-feature": Case(
        "fairness: {by: {feature: carrier}, gap: 20%}",
        {"score_constant": 0.0, "only_carrier": "FL"},
        "FL ",
    ),
    "accuracy": Case("accuracy: {}", {"score_shift": -0.5}, truth="label"),
    "auc": Case("auc: {}", {"score_constant": 0.4}, truth="label"),
    "mae": Case("mae: {largest: 1, margin: 0.05}", {"score_shift": -0.5}, truth="label"),
    "business": Case("business: {least: 0, most: 250}", {}, truth="value"),
    "trust": Case("trust: {}", {}, truth="accepted"),
    "prometheus": Case(
        "prometheus: {url: '<outside>', query: up, at_most: 0.5, interval: 1s}", {}, outside=True
    ),
    "webhook": Case(
        "webhook: {url: '<outside>/hook', ask: rollback, interval: 1s}", {}, outside=True
    ),
}
"""By the name of their route."""

ELSEWHERE = {
    "resources": ("live/test_usage.py", ".faults("),
    "cost": ("live/test_usage.py", ".faults("),
    "judge": ("live/test_judged.py", ".faults("),
    "cascade": ("cascade/test_whole.py", '"absolute"'),
}
"""Gates that hold, ask a server about each pair, or need a second route are played by a module of
their own; with what fails there."""
