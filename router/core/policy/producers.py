"""Who makes what gates need, and which key of the policy has it made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from router.core.gates.gate import Gate
from router.core.gates.needs import Need
from router.core.policy.finding import Finding
from router.core.policy.rollout import RolloutPolicy
from router.core.policy.route import Route
from router.core.rollout.plan import Ending
from router.core.words import FULL_BP


@dataclass(frozen=True, slots=True)
class Producer:
    """Makes one kind of evidence where the policy has it made."""

    makes: Callable[[Route, RolloutPolicy], bool]
    """Whether it does on this route."""
    without: str
    """What becomes of a gate (``{title}``, ``{kind}``) without it."""
    key: str
    """How it is had."""
    strict: bool = True
    """A gate without it is an error. Otherwise only a rollout in which nothing else is fed is:
    one list of gates serves several strategies, and a coin is a matter of the strategy."""


def _rows(_route: Route, rollout: RolloutPolicy) -> bool:
    plan = rollout.plan()  # a plan that promotes ends in a bake, where the candidate has everything
    return plan.ending is Ending.PROMOTE or any(s.weight_bp or s.mirror_bp for s in plan.steps)


def _coin(_route: Route, rollout: RolloutPolicy) -> bool:
    return any(0 < step.weight_bp < FULL_BP for step in rollout.plan().steps)


def _pairs(_route: Route, rollout: RolloutPolicy) -> bool:
    mirrors = any(step.mirror_bp for step in rollout.plan().steps)
    return mirrors or bool(rollout.compare.reverse)


def _labels(route: Route, _rollout: RolloutPolicy) -> bool:
    return route.feedback is not None or route.log is not None


def _truths(route: Route, _rollout: RolloutPolicy) -> bool:
    return route.log is not None and route.payload != "opaque"


def _scores(route: Route, _rollout: RolloutPolicy) -> bool:
    return route.payload != "opaque"


def _predictions(route: Route, _rollout: RolloutPolicy) -> bool:
    return route.predictions is not None and route.predictions.sample > 0


def _label(route: Route, _rollout: RolloutPolicy) -> bool:
    return route.predictions is not None and route.predictions.label is not None


def _score(route: Route, _rollout: RolloutPolicy) -> bool:
    return route.predictions is not None and route.predictions.score is not None


def _usage(route: Route, _rollout: RolloutPolicy) -> bool:
    return route.metrics is not None


def _prices(route: Route, rollout: RolloutPolicy) -> bool:
    version = route.versions.get(rollout.candidate)
    return version is not None and version.price is not None


def _fed(route: Route, _rollout: RolloutPolicy) -> bool:
    return bool(route.feeds)


def _outside(_route: Route, _rollout: RolloutPolicy) -> bool:
    return True  # the gate itself says where


_NOBODY = Producer(
    lambda *_: False,
    "{title} can never be decided: nothing in this version makes {need}",
    "remove it",
)

PRODUCERS: dict[Need, Producer] = {
    Need.ROWS: Producer(
        _rows,
        "{title} can never be decided: the candidate gets nothing in any step",
        "add a step with a weight or a mirror",
    ),
    Need.COIN: Producer(
        _coin,
        "{title} can never be decided: no step lets both versions answer",
        "add a step with a weight between 0% and 100%, or use guard",
        strict=False,
    ),
    Need.BOTH: Producer(
        lambda *asked: _coin(*asked) or _pairs(*asked),
        "{title} can never be decided: no step lets both versions answer, or copies requests",
        "add a step with a weight between 0% and 100%, or with mirror",
        strict=False,
    ),
    Need.PAIRS: Producer(
        _pairs,
        "expected a step with mirror, which {kind} compares, got none",
        "begin with - {mirror: 100%, until: {samples: 500}}",
    ),
    Need.LABELS: Producer(
        _labels,
        "{title} never sees a label: the route has neither feedback nor log",
        "add log: {} or feedback: {secret: ${NAME}} to the route, or dry_run: true to the gate",
    ),
    Need.TRUTHS: Producer(
        _truths,
        "{title} never sees a truth: the route's predictions are not logged",
        "add log: {} and a payload to the route, or dry_run: true to the gate",
    ),
    Need.SCORES: Producer(
        _scores,
        "{title} can never be decided: payload opaque reads no answers",
        "add payload: json to the route",
    ),
    Need.PREDICTIONS: Producer(
        _predictions,
        "{title} can never be decided: no answer of live requests is read",
        "add predictions: {label: ..., score: ..., sample: 10%} to the route",
    ),
    Need.PIECES: Producer(
        _predictions,
        "{title} can never be decided: no live answer is timed",
        "add predictions: {sample: 10%} to the route",
    ),
    Need.LABEL: Producer(
        _label,
        "{title} can never be decided: predictions says no label",
        "add label: to predictions, the path of the class that an answer's row says",
    ),
    Need.SCORE: Producer(
        _score,
        "{title} can never be decided: predictions says no score",
        "add score: to predictions, the path of a number in an answer's row",
    ),
    Need.FED: Producer(
        _fed,
        "{title} can never be decided: the route says nobody who uses its answers",
        "add feeds: [OTHER_ROUTE] to the route",
    ),
    Need.USAGE: Producer(
        _usage,
        "{title} can never be decided: no version is asked what it uses",
        "add metrics: /metrics to the route",
    ),
    Need.PRICES: Producer(
        _prices,
        "{title} can never be decided: the candidate has no price",
        "add price: {per_request: 0.002} to the version",
    ),
    Need.OUTSIDE: Producer(_outside, "", ""),
}
"""A need that is not here is made by nobody, in any policy."""


def needs_met(route: Route) -> Iterator[Finding]:
    """Everything that a gate lives on is made on this route."""
    rollout = route.rollout
    if rollout is None or "gates" not in rollout.model_fields_set:
        return  # those that come by themselves are idle where there is nothing for them
    fed = {gate.title: not list(_unmade(gate, route, rollout)) for gate in rollout.gates}
    judged = any(fed[gate.title] and not gate.dry_run for gate in rollout.gates)
    for index, gate in enumerate(rollout.gates):
        path = ("rollout", "gates", index)
        for need in _unmade(gate, route, rollout):
            made = PRODUCERS.get(need, _NOBODY)
            message = made.without.format(title=gate.title, kind=gate.kind, need=need)
            error = not gate.dry_run and (made.strict or not judged)
            yield Finding(path, message, made.key, error)
        for message, hint in gate.doubts(route.payload, rollout.compare) if fed[gate.title] else ():
            yield Finding(path, message, hint, error=False)


def _unmade(gate: Gate, route: Route, rollout: RolloutPolicy) -> Iterator[Need]:
    for need in sorted(gate.needs):
        if not PRODUCERS.get(need, _NOBODY).makes(route, rollout):
            yield need
