"""Sampled requests in the reader's process: everything that is made of their bodies is made here.

:func:`looked` is called once for each sample. What it finds goes back as :class:`Facts`, which are
small; what else is made of the bodies has a line of its own here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.core.monitors.watched import watched
from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.predictions.facts import UNREADABLE, facts_of
from router.core.predictions.rows import MISSING, request_rows
from router.core.usage.tokens import tokens_of
from router.core.wire.sampled import Facts

if TYPE_CHECKING:
    from router.core.monitors.watched import Watched
    from router.core.wire.sampled import Sampled
    from router.link.reading import Reads


def looked(sample: Sampled, reads: Reads) -> Facts:
    """What a sample's prediction is, and the tokens that it took where somebody pays for them."""
    facts = facts_of(sample, sample.payload or reads.payload, reads.declared, reads.by)
    tokens = _tokens(sample) if reads.tokens else None
    waits = (sample.first_s, sample.gap_s) if sample.first_s else None
    if tokens is None:
        return Facts(facts.rows, facts.why, None, waits) if waits else facts
    read = facts is UNREADABLE and not (reads.declared.label or reads.declared.score)
    return Facts(facts.rows, "" if read else facts.why, tokens, waits)  # read for its tokens alone


def _tokens(sample: Sampled) -> tuple[int, int] | None:
    """None where its answer says nothing of it, or was not kept."""
    if sample.cut or not 200 <= sample.status < 300:
        return None
    try:
        return tokens_of(unpacked(sample.answer, sample.answer_coding))
    except (Unreadable, Beyond):
        return None


def missing(sample: Sampled, reads: Reads) -> float | None:
    """Share of the declared features that its request's rows lack; None: not known."""
    declared = reads.declared
    if not declared.features or sample.cut:
        return None
    try:
        asked = unpacked(sample.request, sample.request_coding)
        rows = request_rows(sample.payload or reads.payload, asked, declared)
    except (Unreadable, Beyond):
        return None
    found = [value for row in rows for value in row.features.values()]
    return sum(value is MISSING or value is None for value in found) / len(found) if found else None


def values(sample: Sampled, reads: Reads) -> Watched | None:
    """What monitors see of it; None where there are none, or its bodies were not kept."""
    if not reads.monitored or sample.cut:
        return None
    good = 200 <= sample.status < 300
    answer = (sample.answer, sample.answer_coding) if good else None
    request = sample.request, sample.request_coding
    return watched(sample.payload or reads.payload, reads.declared, request, answer)
