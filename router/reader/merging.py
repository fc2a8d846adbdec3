"""What a book makes of truths, whatever table is behind it: of each fact the first one holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from router.core.logged.judging import Fresh, Said
from router.core.logged.truth import FACTS, Truth
from router.reader.book import Taken

TruthKey = tuple[str, int]
"""What a truth is about: a request's id, and its row."""
Known = dict[TruthKey, list[Any]]
"""Facts in their order; of a whole row also source, time, state, and when it is mature."""

EARLY, JOINED, HELD = 0, 1, 2
"""States of a truth: without a prediction; told; its prediction is not mature yet."""


def merge(
    known: Known, news: Known, key: TruthKey, truth: Truth, now: float, *, due: float | None
) -> Taken:
    """Take one truth into what is known; of each fact the first one holds.

    ``due``: when its prediction is mature; None: it is not logged.
    """
    held = known.get(key)
    if held is None:
        state = EARLY if due is None else JOINED if due <= now else HELD
        held = known[key] = [None] * len(FACTS) + [truth.source, now, state, due or 0.0]
    fresh = news.get(key) or [None] * len(FACTS)
    found = False
    for place, name in enumerate(FACTS):
        said = getattr(truth, name)
        if said is not None and held[place] is None:
            held[place] = fresh[place] = said
            found = True
    if not found:
        return Taken.DUPLICATE
    news[key] = fresh
    return Taken.WAITING if due is None else Taken.JOINED


def told_now(whole: Fresh, news: Sequence[Any]) -> Fresh:
    """Of what is known what is new; a label that came before the answer it judges is so, too."""
    fresh = whole._replace(**dict(zip(FACTS, news, strict=True)))
    if fresh.answer is None:
        return fresh
    return fresh._replace(label=whole.label, correct=whole.correct)


def newest(said: list[Said]) -> tuple[Said, ...]:
    """Of an id that clients used twice only the last request counts: the last row of a version."""
    last: dict[str, Said] = {one.version: one for one in said}
    return tuple(last.values())
