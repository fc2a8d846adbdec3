"""Two answers row by row: which rows differ, which way, how far.

Where the router knows what a prediction is (`predictions`), each row has its label and its score;
where it does not, rows are still told apart by the place in the first list of a path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from router.core.payloads import Beyond, Unreadable
from router.core.predictions.facts import row_facts, spaced
from router.core.predictions.rows import BodyRow, Declared, answer_rows
from router.core.wire import sampled
from router.core.wire.paired import PairRow

_PLACE: Final = re.compile(r"\[(\d+)")
_ABSENT: Final = BodyRow()


def both_rows(
    payload: str, stable: bytes, candidate: bytes, declared: Declared
) -> tuple[list[BodyRow], list[BodyRow]] | None:
    """Rows of two answers; None where there is one and nothing is declared of it."""
    try:
        ours = answer_rows(payload, stable, declared)
        theirs = answer_rows(payload, candidate, declared)
    except (Unreadable, Beyond):  # of the payload, but its rows are not those declared
        return None
    if not declared.answer_paths and len(ours) <= 1 and len(theirs) <= 1:
        return None
    return (ours, theirs) if ours or theirs else None


def row_of(path: str, rows: int) -> int | None:
    """The row of a path of a whole answer; None where it belongs to every row."""
    if rows == 1:
        return 0
    found = _PLACE.search(path)
    return int(found[1]) if found and len(found[1]) < 6 and int(found[1]) < rows else None


def paired(
    both: tuple[list[BodyRow], list[BodyRow]], declared: Declared, differing: set[int | None],
    positives: tuple[Sequence[bool | None], Sequence[bool | None]],
) -> tuple[PairRow, ...]:  # fmt: skip
    """The rows of a pair.

    Args:
        both: stable's and the candidate's rows; a missing one differs.
        declared: what a prediction is.
        differing: rows in which something that decides differs; None is every row.
        positives: whether each row is a positive answer, stable's and the candidate's.
    """
    ours, theirs = both
    longest = max(len(ours), len(theirs))
    everywhere = None in differing
    made = []
    for place in spaced(longest):
        whole = place < len(ours) and place < len(theirs)
        mine = ours[place] if place < len(ours) else _ABSENT
        other = theirs[place] if place < len(theirs) else _ABSENT
        stable = row_facts(mine.label, mine.score, declared, ())
        candidate = row_facts(other.label, other.score, declared, ())
        made.append(PairRow(
            whole and not everywhere and place not in differing,
            stable, candidate,
            _change(*(one[place] if place < len(one) else None for one in positives)),
            _moved(stable, candidate, declared),
        ))  # fmt: skip
    return tuple(made)


def with_features(
    rows: tuple[PairRow, ...], asked: Sequence[tuple[str, ...]]
) -> tuple[PairRow, ...]:
    """The rows with what was asked of each; where answers have others than requests, without."""
    if len(rows) != len(spaced(len(asked))):
        return rows
    return tuple(
        row._replace(stable=row.stable._replace(features=asked[place]))
        for row, place in zip(rows, spaced(len(asked)), strict=True)
    )


def _change(stable: bool | None, candidate: bool | None) -> int | None:
    return None if stable is None or candidate is None else candidate - stable


def _moved(
    stable: sampled.PredictedRow, candidate: sampled.PredictedRow, declared: Declared
) -> float | None:
    if declared.range is None or stable.score is None or candidate.score is None:
        return None
    low, high = declared.range
    return min(max((candidate.score - stable.score) / (high - low), -1.0), 1.0)
