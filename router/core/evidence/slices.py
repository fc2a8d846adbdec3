"""Slices of draws in the order of drawing: what is still under way counts for the accused.

A request is *drawn* when the coin is thrown and *settled* when it is known what became of it. The
order of settling tells about the outcome (failures are faster than answers, a slow version's
answers come late), so evidence in that order convicts the innocent. The order of drawing tells
nothing. A *slice* holds what one process drew at one weight in a stretch of time, and of it

    drawn, bad, good   of both arms; open = drawn - bad - good

which is reported again, whole, whenever something of it settled; a lost or a doubled report does no
harm. The leading slices with nothing open are bet on for good. For the rest a *lower bound* of what
the capital can come to is taken: an open request of the candidate counts as good, one of stable as
bad. The largest such bound over all prefixes is the evidence; by the theorem in docs/statistics.md
it exceeds 1/alpha with chance at most alpha, whatever the delays depend on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from router.core.snapshots import Lasting

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN_MAX = 48
"""Open stretches kept apart; beyond, the older ones of one weight are merged in pairs. That removes
prefixes to choose from, so it can only lower the evidence."""

Key = tuple[int, int]
"""(the process that drew, its count of slices): who it was and which."""


class Slice(NamedTuple):
    """What was drawn at one weight, and what is known of it by now."""

    weight_bp: int
    candidate: int = 0
    candidate_bad: int = 0
    candidate_good: int = 0
    stable: int = 0
    stable_bad: int = 0
    stable_good: int = 0
    candidate_more: int = 0
    """Of the bad ones: those that have the cause of another one before them."""
    stable_more: int = 0

    @property
    def open(self) -> int:
        """Requests of both arms that are still under way."""
        return (
            self.candidate - self.candidate_bad - self.candidate_good
            + self.stable - self.stable_bad - self.stable_good
        )  # fmt: skip

    def changed(self, before: Slice, after: Slice) -> Slice:
        """This stretch, in which one slice is no longer as ``before`` but as ``after``."""
        numbers = zip(self[1:], before[1:], after[1:], strict=True)
        return Slice(self.weight_bp, *(n - b + a for n, b, a in numbers))

    def plus(self, other: Slice) -> Slice:
        """Both stretches as one."""
        return Slice(self.weight_bp, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))

    def left(self) -> Slice:
        """The same when the open requests ended without anybody seeing a failure."""
        return self._replace(
            candidate_good=self.candidate - self.candidate_bad,
            stable_good=self.stable - self.stable_bad,
        )

    def exchanged(self) -> Slice:
        """Stable in the candidate's place, and the other way round."""
        return Slice(self.weight_bp, *self[4:7], *self[1:4], self.stable_more, self.candidate_more)

    @classmethod
    def settled(cls, weight_bp: int, cb: int, sb: int, co: int, so: int) -> Self:
        """Outcomes that were known with the draw: nothing of it is open."""
        return cls(weight_bp, cb + co, cb, co, sb + so, sb, so)


class _Stretch(Lasting, listed="sums slices"):
    """One slice or several neighbours, in the order of drawing."""

    __slots__ = ("slices", "sums")

    sums: Slice
    slices: dict[Key, Slice]

    def __init__(self, sums: Slice, slices: dict[Key, Slice]) -> None:
        self.sums = sums
        self.slices = slices


class Slices(Lasting):
    """The open end of one question's draws."""

    __slots__ = ("_known", "_newest", "_open")

    _open: list[_Stretch]
    _newest: dict[int, int]

    def __init__(self) -> None:
        """Nothing was drawn."""
        self._open: list[_Stretch] = []
        self._known: dict[Key, _Stretch] = {}
        self._newest: dict[int, int] = {}

    def __len__(self) -> int:
        """Stretches that wait for something."""
        return len(self._open)

    def __iter__(self) -> Iterator[Slice]:
        """The open stretches (and what was drawn after them), in the order of drawing."""
        return (stretch.sums for stretch in self._open)

    def put(self, key: Key | None, new: Slice) -> Slice:
        """What is known of a slice now; ``key`` None: drawn and settled at once.

        Returns what was known of it before; itself, if it had ended.
        """
        before = Slice(new.weight_bp)
        if key is None:
            self._open.append(_Stretch(new, {}))
        elif (stretch := self._known.get(key)) is not None:
            before = stretch.slices[key]
            stretch.sums = stretch.sums.changed(before, new)
            stretch.slices[key] = new
        elif key[1] > self._newest.get(key[0], 0):
            self._newest[key[0]] = key[1]
            self._known[key] = _Stretch(new, {key: new})
            self._open.append(self._known[key])
            if len(self._open) > OPEN_MAX:
                self._merge()
        else:
            return new
        return before

    def take_settled(self) -> list[Slice]:
        """Take away the leading stretches with nothing open, in order."""
        count = 0
        for stretch in self._open:
            if stretch.sums.open:
                break
            count += 1
        if not count:
            return []
        done, self._open = self._open[:count], self._open[count:]
        for stretch in done:
            for key in stretch.slices:
                del self._known[key]
        return [stretch.sums for stretch in done]

    def abandon(self, source: int | None) -> None:
        """A process is gone (None: all of them): its open requests ended with it, in both arms."""
        for key, stretch in self._known.items():
            if source is None or key[0] == source:
                after = stretch.slices[key].left()
                stretch.sums = stretch.sums.changed(stretch.slices[key], after)
                stretch.slices[key] = after
        if source is None:  # their numbers may begin anew
            self._newest.clear()

    def _merge(self) -> None:
        """The older half in pairs of neighbours of one weight."""
        half = len(self._open) // 2
        older, newer = self._open[:half], self._open[half:]
        kept: list[_Stretch] = []
        pair: _Stretch | None = None
        for stretch in older:
            if pair is not None and pair.sums.weight_bp == stretch.sums.weight_bp:
                pair.sums = pair.sums.plus(stretch.sums)
                pair.slices |= stretch.slices
                self._known |= dict.fromkeys(stretch.slices, pair)
                pair = None
            else:
                kept.append(stretch)
                pair = stretch
        self._open = kept + newer

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "_open":
            self._open = [_Stretch(Slice(0), {}) for _ in data]

    def _restored(self) -> None:
        self._known = {key: stretch for stretch in self._open for key in stretch.slices}
