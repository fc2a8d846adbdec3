"""Do two answers to one request say the same? The question behind every shadow.

The answers are read by the route's payload into paths and leaves, then compared leaf by leaf:
numbers within a tolerance, text and labels exactly, rankings by the overlap of their first k. What
*decides* agreement can be narrowed to some outputs (a label), while the rest (its probability) is
still measured. Agreement alone hides which way a model errs, so the direction of every disagreement
is kept: a stricter candidate costs other people than a more permissive one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from router.core.pairs.rows import both_rows, paired, row_of
from router.core.payloads import PAYLOADS, Answer, Beyond, Unreadable, unpacked
from router.core.payloads.answer import Leaf
from router.core.predictions.rows import NOTHING, BodyRow, Declared, leaf_name, number_of
from router.core.wire.paired import PairRow
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.pairs.compare import Compare

DIFFERENCES_MAX = 20
"""Differences kept of one pair of answers."""
TEXT_MAX = 60
"""Characters kept of a value in a difference."""

DISTANCE_MAX = 1e200
"""A greater distance of scores is this one: sums of it stay numbers."""

PATH_CHARS_MAX = 200
"""Characters kept of a path, and of a field's name; longer ones are known by their beginning."""
FIELDS_MAX = 200
"""Differing fields kept of one pair; further ones are :data:`OTHER_FIELDS`."""
OTHER_FIELDS = "(other)"
SAYS_CHARS_MAX = 100
"""A longer text is no label: what an answer says is not kept."""

BothRows = tuple[list[BodyRow], list[BodyRow]]
"""Of stable's and of the candidate's answer."""
_Found = tuple[str, "Kind", Leaf, Leaf]
"""Path, kind, and both values of one place where answers differ."""

_PLACES = re.compile(r"\[[0-9,]*\]")


class Kind(StrEnum):
    """How two answers differ at one path."""

    NUMBER = "number"
    TEXT = "text"
    TYPE = "type"
    MISSING = "missing"  # stable has it, the candidate does not
    EXTRA = "extra"  # the candidate has it, stable does not
    RANKING = "ranking"
    UNREADABLE = "unreadable"
    STATUS = "status"
    SIZE = "size"  # one answer is so much longer that it was not read to its end


class Direction(StrEnum):
    """Which way a disagreeing candidate leans."""

    NONE = ""
    STRICTER = "stricter"
    LOOSER = "looser"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the answers differ."""

    path: str
    kind: Kind
    stable: str = ""
    candidate: str = ""
    decides: bool = True
    """Whether this path counts for agreement, or is only measured."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The finding about one pair of answers."""

    agreed: bool
    direction: Direction = Direction.NONE
    differences: tuple[Difference, ...] = ()
    score_distance: float | None = None
    """Mean ``|candidate - stable|`` over the score's elements; None without a numeric score."""
    stable_positive: bool | None = None
    candidate_positive: bool | None = None
    stable_says: Leaf = None
    """The one value that decides, of stable's answer; None where there are none or several."""
    candidate_says: Leaf = None
    fields: frozenset[str] = frozenset()
    """Every field that differs, deciding or not, see :func:`field_of`."""
    candidate_unreadable: bool = False
    stable_unreadable: bool = False
    """Nothing can be said about the candidate then; such a pair is no evidence."""
    beyond: str = ""
    """Why nothing can be said although nobody failed; such a pair is no evidence either."""
    absent: frozenset[str] = frozenset()
    """Names of the policy that stable's answer has nothing of."""
    rows: tuple[PairRow, ...] = ()
    """Row by row, where there are several or predictions are declared."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """When two answers agree: what `compare` in a policy says, as the reader gets it.

    It imports no policy types, so that a process that only reads stays small.
    """

    decide_on: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    absolute: float = 1e-6
    relative: int = 1
    """Basis points of the larger number."""
    top_k: int | None = None
    top_k_overlap: int = FULL_BP
    score: str | None = None
    positive_above: float = 0.5
    declared: Declared = NOTHING
    """What a prediction is; nothing: rows are told apart alone."""

    @classmethod
    def of(cls, compare: Compare, declared: Declared = NOTHING) -> Likeness:
        """What decides in a policy's `compare`, without what is only shown."""
        return cls(
            compare.decide_on, compare.ignore, compare.absolute, compare.relative, compare.top_k,
            compare.top_k_overlap, compare.score, compare.positive_above, declared,
        )  # fmt: skip

    def read_by(self, own: str, payload: str) -> Likeness:
        """The same for answers of another payload than the route's own.

        The declared label and score stand elsewhere in them; other names are what they are.
        """
        if payload == own:
            return self
        declared = filter(None, (self.declared.label, self.declared.score))
        there = {leaf_name(own, path): leaf_name(payload, path) for path in declared}
        decide_on = tuple(there.get(name, name) for name in self.decide_on)
        score = there.get(self.score, self.score) if self.score else None
        return replace(self, decide_on=decide_on, score=score)

    def compare(
        self,
        payload: str,
        stable: bytes,
        candidate: bytes,
        noisy: frozenset[str] = frozenset(),
        codings: tuple[str, str] = ("", ""),
    ) -> Comparison:
        """The finding about two bodies of ``payload`` (a key of PAYLOADS). Never raises.

        What differs in a field of ``noisy`` is listed but does not decide. ``codings``: the
        Content-Encoding of both.
        """
        reader = PAYLOADS[payload]
        try:
            stable = unpacked(stable, codings[0])
            first = reader.read(stable)
        except Unreadable as why:
            return Comparison(agreed=False, differences=(_unread(why),), stable_unreadable=True)
        except Beyond as why:
            return Comparison(agreed=False, beyond=str(why))
        if self.decide_on and not any(named(path, self.decide_on) for path in first.leaves):
            names = ", ".join(self.decide_on)
            return Comparison(
                agreed=False, beyond=f"stable's answer has no field {names}",
                absent=self._absent(first),
            )  # fmt: skip
        try:
            candidate = unpacked(candidate, codings[1])
            second = reader.read(candidate)
        except Unreadable as why:
            return Comparison(agreed=False, differences=(_unread(why),), candidate_unreadable=True)
        except Beyond as why:
            return Comparison(agreed=False, beyond=str(why))
        if not any(self._decisive(path) for answer in (first, second) for path in answer.leaves):
            return Comparison(agreed=False, beyond="nothing in the answers decides")
        rows = both_rows(payload, stable, candidate, self.declared)
        return self._finding(first, second, noisy, rows)

    def _finding(
        self, stable: Answer, candidate: Answer, noisy: frozenset[str], both: BothRows | None = None
    ) -> Comparison:
        deciding: list[Difference] = []
        differing: set[int | None] = set()
        longest = max(map(len, both)) if both else 1
        measured: list[Difference] = []
        fields: set[str] = set()
        agreed = True
        for path, kind, left, right in self._differences(stable, candidate):
            field = field_of(path)[:PATH_CHARS_MAX]
            fields.add(field if len(fields) < FIELDS_MAX else OTHER_FIELDS)
            decides = field not in noisy and (not self.decide_on or named(path, self.decide_on))
            agreed = agreed and not decides
            if decides:
                differing.add(row_of(path, longest))
            kept = deciding if decides else measured
            if len(kept) < DIFFERENCES_MAX:
                shown = _shown(left), _shown(right)
                kept.append(Difference(path[:PATH_CHARS_MAX], kind, *shown, decides))
        ours, theirs = self._scores(stable), self._scores(candidate)
        return Comparison(
            agreed=agreed,
            direction=Direction.NONE if agreed else _direction(ours, theirs),
            differences=tuple((deciding + measured)[:DIFFERENCES_MAX]),
            score_distance=_distance(ours, theirs),
            stable_positive=self._positive(ours),
            candidate_positive=self._positive(theirs),
            stable_says=self._says(stable),
            candidate_says=self._says(candidate),
            fields=frozenset(fields),
            absent=self._absent(stable),
            rows=paired(both, self.declared, differing, self._positives(both, ours, theirs))
            if both
            else (),
        )

    def _decisive(self, path: str) -> bool:
        return not named(path, self.ignore) and (not self.decide_on or named(path, self.decide_on))

    def _absent(self, answer: Answer) -> frozenset[str]:
        """Names of the policy that this answer has nothing of."""
        names = (*self.decide_on, *((self.score,) if self.score else ()))
        return frozenset(
            name for name in names if not any(named(path, (name,)) for path in answer.leaves)
        )

    def _positives(
        self, both: BothRows, *scores: dict[str, float]
    ) -> tuple[list[bool | None], list[bool | None]]:
        """Row by row, by the declared score, else by the last number of a row."""
        if self.declared.score:
            first, second = (
                [None if (n := number_of(row.score)) is None else n > self.positive_above
                 for row in rows]
                for rows in both
            )  # fmt: skip
            return first, second
        first, second = (
            self._by_place(found, len(rows)) for rows, found in zip(both, scores, strict=True)
        )
        return first, second

    def _by_place(self, scores: dict[str, float], rows: int) -> list[bool | None]:
        last: list[bool | None] = [None] * rows
        for path, value in scores.items():
            if (place := row_of(path, rows)) is not None and place < rows:
                last[place] = value > self.positive_above
        return last

    def _differences(self, stable: Answer, candidate: Answer) -> Iterator[_Found]:
        ranked = self._ranked(stable) if self.top_k else frozenset()
        ours, theirs = stable.leaves, candidate.leaves
        for path in ours if ours.keys() == theirs.keys() else ours | theirs:
            if ranked and (path.rpartition("[")[0] in ranked or head(path) in ranked):
                continue
            found = self._leaf(path, ours, theirs)
            if found is not None and not named(path, self.ignore):
                yield found
        if self.top_k:
            yield from self._rankings(stable, candidate, self.top_k)

    def _ranked(self, answer: Answer) -> frozenset[str]:
        """Paths whose elements the ranking stands for; tensors are named without their row."""
        return frozenset(answer.vectors) | {
            head(path) for path in answer.vectors if "." not in path
        }

    def _leaf(
        self, path: str, stable: dict[str, Leaf], candidate: dict[str, Leaf]
    ) -> _Found | None:
        if path not in candidate:
            return path, Kind.MISSING, stable[path], ""
        if path not in stable:
            return path, Kind.EXTRA, "", candidate[path]
        left, right = stable[path], candidate[path]
        if type(left) is type(right) and left == right:
            return None
        if _number(left) and _number(right):
            same, kind = self._close(float(left or 0), float(right or 0)), Kind.NUMBER
        else:
            same, kind = False, Kind.TEXT if type(left) is type(right) else Kind.TYPE
        return None if same else (path, kind, left, right)

    def _close(self, left: float, right: float) -> bool:
        """NaN agrees with NaN: both versions then say the same useless thing."""
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return math.isclose(left, right, rel_tol=self.relative / FULL_BP, abs_tol=self.absolute)

    def _rankings(self, stable: Answer, candidate: Answer, k: int) -> Iterator[_Found]:
        for path, ours in stable.vectors.items():
            if named(path, self.ignore):
                continue
            theirs = candidate.vectors.get(path, ())
            overlap = len(_top(ours, k) & _top(theirs, k)) / min(k, len(ours))
            if overlap * FULL_BP < self.top_k_overlap:
                yield path, Kind.RANKING, f"top {k}", f"{overlap:.0%} overlap"

    def _scores(self, answer: Answer) -> dict[str, float]:
        names = (self.score,) if self.score else self.decide_on
        return {
            path: float(value)
            for path, value in answer.leaves.items()
            if (not names or named(path, names))
            and isinstance(value, bool | int | float)
            and math.isfinite(value)
        }

    def _says(self, answer: Answer) -> Leaf:
        """The value of the one leaf that decides, if it is only one."""
        names = self.decide_on or ((self.score,) if self.score else ())
        said: Leaf = None
        for seen, value in enumerate(
            value for path, value in answer.leaves.items() if not names or named(path, names)
        ):
            if seen:
                return None
            said = value
        return None if isinstance(said, str) and len(said) > SAYS_CHARS_MAX else said

    def right(self, said: Leaf, truth: bool | float | str) -> bool | None:
        """Whether a version that said ``said`` was right; None where the two are of two kinds.

        A yes or no is held against ``positive_above``, a number against the tolerances.
        """
        if isinstance(truth, str) or isinstance(said, str):
            return said == truth if isinstance(truth, str) and isinstance(said, str) else None
        if said is None:
            return None
        if isinstance(truth, bool):
            return (float(said) > self.positive_above) == truth
        return self._close(float(said), truth)

    def _positive(self, scores: dict[str, float]) -> bool | None:
        """Of several elements the last decides: probabilities list the positive class last."""
        if not scores:
            return None
        return scores[list(scores)[-1]] > self.positive_above


def head(path: str) -> str:
    """The name a path begins with: ``predict_proba[0,1]`` -> ``predict_proba``."""
    for place, letter in enumerate(path):
        if letter in ".[":
            return path[:place]
    return path


def field_of(path: str) -> str:
    """A path without the places in lists: ``predictions[3].score`` -> ``predictions.score``."""
    if "]." in path or not path.endswith("]"):
        return _PLACES.sub("", path) if "[" in path else path
    return path[: path.index("[")]


def named(path: str, names: tuple[str, ...]) -> bool:
    """Whether a path is one of ``names`` or lies inside one, with or without places in lists."""
    for name in names:
        if path.startswith(name) and path[len(name) : len(name) + 1] in _INSIDE:
            return True
    return bool(names) and "]." in path and named(field_of(path), names)


_INSIDE = ("", ".", "[")


def _number(value: Leaf) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Leaf) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 3] + "..."


def _unread(why: Unreadable) -> Difference:
    return Difference("", Kind.UNREADABLE, candidate=str(why))


def _top(vector: tuple[float, ...], k: int) -> set[int]:
    return set(sorted(range(len(vector)), key=vector.__getitem__, reverse=True)[:k])


def _direction(stable: dict[str, float], candidate: dict[str, float]) -> Direction:
    """The sign of the last score that differs: class probabilities list the positive class last."""
    for path in reversed(list(stable)):
        change = candidate.get(path, stable[path]) - stable[path]
        if change:
            return Direction.LOOSER if change > 0 else Direction.STRICTER
    return Direction.NONE


def _distance(stable: dict[str, float], candidate: dict[str, float]) -> float | None:
    gaps = [abs(candidate[path] - value) for path, value in stable.items() if path in candidate]
    return min(sum(gaps) / len(gaps), DISTANCE_MAX) if gaps else None
