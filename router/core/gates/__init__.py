"""The questions a policy may ask. A new one is a file here and a line in :data:`GATES`."""

from router.core.gates.accuracy import Accuracy
from router.core.gates.agreement import Agreement
from router.core.gates.auc import Auc
from router.core.gates.business import Business
from router.core.gates.cascade import Cascade
from router.core.gates.classes import Classes
from router.core.gates.cost import Cost
from router.core.gates.error_rate import ErrorRate
from router.core.gates.fairness import Fairness
from router.core.gates.gate import Gate, GateContext, GateState, Measurement, SlowLimit
from router.core.gates.guard import Guard
from router.core.gates.judge import JudgeGate
from router.core.gates.latency import Latency
from router.core.gates.mae import Mae
from router.core.gates.nulls import Nulls
from router.core.gates.positive_rate import PositiveRate
from router.core.gates.prometheus import Prometheus
from router.core.gates.resources import Resources
from router.core.gates.scores import ScoresGate
from router.core.gates.shadow_slo import ShadowSlo
from router.core.gates.slo import Slo
from router.core.gates.streams import Streams
from router.core.gates.trust import Trust
from router.core.gates.webhook import Webhook

GATES: dict[str, type[Gate]] = {
    "error_rate": ErrorRate,
    "latency": Latency,
    "slo": Slo,
    "guard": Guard,
    "agreement": Agreement,
    "positive_rate": PositiveRate,
    "shadow_slo": ShadowSlo,
    "nulls": Nulls,
    "classes": Classes,
    "scores": ScoresGate,
    "fairness": Fairness,
    "streams": Streams,
    "judge": JudgeGate,
    "accuracy": Accuracy,
    "auc": Auc,
    "mae": Mae,
    "business": Business,
    "trust": Trust,
    "cascade": Cascade,
    "resources": Resources,
    "cost": Cost,
    "prometheus": Prometheus,
    "webhook": Webhook,
}
"""Every gate, by the name it is written with."""

GONE: dict[str, str] = {
    "drift": "another gate, got drift, which is gone: no answers were ever given to it. "
    "Leave it out; agreement and positive_rate compare the answers of mirrored requests",
}
"""Gates of earlier routers: what the policy should say instead."""

__all__ = ["GATES", "GONE", "Gate", "GateContext", "GateState", "Measurement", "SlowLimit"]
