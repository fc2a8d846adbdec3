"""The questions a policy may ask. A new one is a file here and a line in :data:`GATES`."""

from router.core.gates.gate import Gate, GateContext, GateState, Measurement, SlowLimit
from router.core.spec import Kinds

GATES: Kinds[Gate] = Kinds(
    {
        "error_rate": "router.core.gates.error_rate:ErrorRate",
        "latency": "router.core.gates.latency:Latency",
        "slo": "router.core.gates.slo:Slo",
        "guard": "router.core.gates.guard:Guard",
        "agreement": "router.core.gates.agreement:Agreement",
        "positive_rate": "router.core.gates.positive_rate:PositiveRate",
        "shadow_slo": "router.core.gates.shadow_slo:ShadowSlo",
        "nulls": "router.core.gates.nulls:Nulls",
        "classes": "router.core.gates.classes:Classes",
        "scores": "router.core.gates.scores:ScoresGate",
        "fairness": "router.core.gates.fairness:Fairness",
        "streams": "router.core.gates.streams:Streams",
        "judge": "router.core.gates.judge:JudgeGate",
        "accuracy": "router.core.gates.accuracy:Accuracy",
        "auc": "router.core.gates.auc:Auc",
        "mae": "router.core.gates.mae:Mae",
        "business": "router.core.gates.business:Business",
        "trust": "router.core.gates.trust:Trust",
        "cascade": "router.core.gates.cascade:Cascade",
        "resources": "router.core.gates.resources:Resources",
        "cost": "router.core.gates.cost:Cost",
        "prometheus": "router.core.gates.prometheus:Prometheus",
        "webhook": "router.core.gates.webhook:Webhook",
    }
)
"""Every gate, by the name it is written with."""

GONE: dict[str, str] = {
    "drift": "another gate, got drift, which is gone: no answers were ever given to it. "
    "Leave it out; agreement and positive_rate compare the answers of mirrored requests",
}
"""Gates of earlier routers: what the policy should say instead."""

__all__ = ["GATES", "GONE", "Gate", "GateContext", "GateState", "Measurement", "SlowLimit"]
