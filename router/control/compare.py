"""Compares the two answers of mirrored requests and counts agreement.

The one place where answers are read; it runs in the control process, never beside user traffic.
Where the route names a payload, its protocol reads the predictions and the rollout's ``compare``
says what decides. Where it does not (``opaque``), and for answers that are no predictions (4xx),
JSON is compared by structure: same keys, same lengths, numbers within a tolerance, everything else
equal. Anything else is compared byte by byte.

========================================= ==================================
stable failed, or its answer is no        no pair: nothing to compare with
prediction of the payload
the copy failed (5xx, timeout, malformed) ``failed``
answers alike                             ``agreed``
otherwise                                 ``disagreed``; ``stricter`` when the first number that
                                          differs is lower, ``looser`` when it is higher
========================================= ==================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from router.core.comparison import Compare
from router.core.counts import PairSample
from router.core.outcomes import Batch, Pairs

RELATIVE_TOLERANCE: Final = 1e-6
ABSOLUTE_TOLERANCE: Final = 1e-9
"""Floats of two builds of one model differ in their last digits; a real change is larger."""

DEPTH_MAX: Final = 64
VALUES_MAX: Final = 100_000
"""Values compared of one answer; what lies beyond is taken as different, not as alike."""

VOLATILE: Final = frozenset({"id", "model_version", "model_name", "created", "usage"})
"""Top-level fields of the inference protocols that differ by design between versions."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the answers of one route are read."""

    payload: str = "opaque"
    """A key of ``PAYLOADS``; opaque reads no predictions."""
    compare: Compare = field(default_factory=Compare)


PLAIN: Final = Reading()


def compared(
    samples: Iterable[PairSample],
    undelivered: int = 0,
    readings: Mapping[str, Reading] | None = None,
) -> list[Batch]:
    """One batch of agreement counts for each route and epoch among ``samples``.

    ``readings`` by route; a route that is missing there is compared by structure.
    """
    counts: dict[tuple[str, int], dict[str, int]] = {}
    for sample in samples:
        result = judge(sample, (readings or {}).get(sample.route, PLAIN))
        if result is None:
            continue
        mine = counts.setdefault((sample.route, sample.epoch), {})
        for word in result:
            mine[word] = mine.get(word, 0) + 1
    batches = [
        Batch(route, epoch, pairs=Pairs(**found)) for (route, epoch), found in counts.items()
    ]
    if undelivered and batches:
        first = batches[0]
        pairs = Pairs(**counts[(first.route, first.epoch)], undelivered=undelivered)
        batches[0] = Batch(first.route, first.epoch, pairs=pairs)
    return batches


def judge(sample: PairSample, reading: Reading = PLAIN) -> tuple[str, ...] | None:
    """What one pair counts as, in fields of :class:`Pairs`; None where there is nothing to say."""
    if not 200 <= sample.primary_status < 500:
        return None
    if sample.shadow_status == 0 or sample.shadow_status >= 500:
        return ("failed",)
    if sample.primary_status != sample.shadow_status:
        return ("disagreed",)
    if reading.payload != "opaque" and sample.primary_status < 300:
        return _predictions(sample, reading)
    direction = difference(sample.primary_body, sample.shadow_body, sample.content_type)
    if direction is None:
        return ("agreed",)
    word = "stricter" if direction < 0 else "looser" if direction > 0 else ""
    return ("disagreed", word) if word else ("disagreed",)


def _predictions(sample: PairSample, reading: Reading) -> tuple[str, ...] | None:
    """The finding of the route's own comparison; an answer that only stable got right counts."""
    found = reading.compare.compare(reading.payload, sample.primary_body, sample.shadow_body)
    if found.stable_unreadable:
        return None
    if found.agreed:
        return ("agreed",)
    return ("disagreed", found.direction.value) if found.direction else ("disagreed",)


def difference(primary: bytes, shadow: bytes, content_type: str) -> int | None:
    """None: alike. Otherwise the direction of the first number that differs, -1, 0 or 1."""
    if primary == shadow:
        return None
    if "json" not in content_type:
        return 0
    try:
        ours, theirs = json.loads(primary), json.loads(shadow)
    except (ValueError, RecursionError):
        return 0
    if isinstance(ours, dict) and isinstance(theirs, dict):
        ours, theirs = (
            {k: v for k, v in side.items() if k not in VOLATILE} for side in (ours, theirs)
        )
    for seen, direction in enumerate(_walk(ours, theirs, 0)):
        if direction is not None or seen >= VALUES_MAX:
            return direction or 0
    return None


_MISSING = object()


def _walk(ours: Any, theirs: Any, depth: int) -> Iterator[int | None]:
    """One item a pair of leaves: None if alike, else the direction."""
    if depth > DEPTH_MAX:
        yield 0
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _walk(ours.get(key, _MISSING), theirs.get(key, _MISSING), depth + 1)
    elif isinstance(ours, list) and isinstance(theirs, list):
        for pair in zip_longest(ours, theirs, fillvalue=_MISSING):
            yield from _walk(*pair, depth + 1)
    elif _number(ours) and _number(theirs):
        yield _direction(float(ours), float(theirs))
    else:
        yield None if type(ours) is type(theirs) and ours == theirs else 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _direction(ours: float, theirs: float) -> int | None:
    if math.isnan(ours) or math.isnan(theirs):
        return None if math.isnan(ours) and math.isnan(theirs) else 0
    if math.isclose(ours, theirs, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE):
        return None
    return -1 if theirs < ours else 1
