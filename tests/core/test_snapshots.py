"""What a class keeps goes through JSON and comes back, by its annotations alone."""

import enum
import importlib
import inspect
import json
import math
import pkgutil
import sys
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pytest

import router.core
from router.core.snapshots import Lasting, _layout, codec_of


class Way(enum.Enum):
    UP = "up"
    DOWN = "down"


class Point(NamedTuple):
    x: int
    y: float = 0.5


@dataclass(frozen=True)
class Line:
    name: str
    end: Point


class Part(Lasting, listed="*sums rung", later="rung"):
    __slots__ = ("rung", "sums")
    sums: list[float]
    rung: bool

    def __init__(self):
        self.sums, self.rung = [0.0, 0.0], False


class Bare(Lasting, bare="n"):
    n: int

    def __init__(self, n=0):
        self.n = n


class Whole(Lasting, counts="bad ok", of="*_parts", stable="_other", later="new"):
    LIMIT: ClassVar[int] = 3
    bad: int
    ok: int
    _hidden: str
    _other: Bare
    line: Line
    maybe: float | None
    part: Part | None
    way: Way
    ways: dict[Way, int]
    words: Counter[str]
    seen: set[int]
    names: frozenset[str]
    pair: tuple[int, str]
    rest: tuple[float, ...]
    waiting: deque[Point]
    newest: dict[int, int]
    slices: dict[tuple[int, int], Point]
    told: dict[int, list[float]]
    listed: dict[int, Part]
    members: list[Bare]
    anything: Any
    new: int

    def __init__(self):
        self.bad, self.ok, self._hidden, self._other = 1, 2, "x", Bare(3)
        self.line, self.maybe, self.part, self.way = Line("a", Point(1)), 0.1, Part(), Way.DOWN
        self.ways, self.words = {Way.UP: 4}, Counter(one=2)
        self.seen, self.names, self.pair = {3, 1}, frozenset("b"), (1, "c")
        self.rest, self.waiting = (1.5, math.pi), deque([Point(1), Point(2, 0.25)], maxlen=4)
        self.newest, self.slices = {1: 2}, {(1, 2): Point(3)}
        self.told, self.listed, self.members = {1: [0.5, 0.25]}, {7: Part()}, [Bare(1), Bare(2)]
        self.anything, self.new, self.cache = {"deep": [1]}, 5, "made anew"
        self.first, self.second = Bare(8), Bare(9)

    @property
    def _parts(self) -> tuple[Bare, ...]:
        return (self.first, self.second)

    def _make_parts(self, name, data):
        if name == "members":
            self.members = [Bare() for _ in data]

    def _restored(self):
        self.cache = "after"


def disk(kept):
    return json.loads(json.dumps(kept.snapshot()))


def test_it_is_laid_out_as_the_class_says():
    assert disk(Whole()) == {
        "counts": [1, 2], "of": [8, 9], "stable": 3, "hidden": "x", "line": ["a", [1, 0.5]],
        "maybe": 0.1, "part": [0.0, 0.0, False], "way": "down", "ways": {"up": 4},
        "words": {"one": 2}, "seen": [1, 3], "names": ["b"], "pair": [1, "c"],
        "rest": [1.5, math.pi], "waiting": [[1, 0.5], [2, 0.25]], "newest": [[1, 2]],
        "slices": [[1, 2, 3, 0.5]], "told": [[1, 0.5, 0.25]], "listed": [[7, 0.0, 0.0, False]],
        "members": [1, 2], "anything": {"deep": [1]}, "new": 5,
    }  # fmt: skip


def test_it_comes_back_exactly_and_parts_stay_where_they_are():
    left, right = Whole(), Whole()
    left.bad, left.first.n, left.slices, left.maybe = 7, 70, {(3, 4): Point(5, 0.1)}, None
    left.members, left.part.sums, left.way = [Bare(6)], [0.3, 0.7], Way.UP
    left.newest, left.words = {}, Counter()
    first, part = right.first, right.part
    right.restore(disk(left))
    assert disk(right) == disk(left)
    assert (right.first is first, right.part is part, right.cache) == (True, True, "after")
    assert right.slices == {(3, 4): Point(5, 0.1)}
    assert right.waiting.maxlen == 4
    assert isinstance(right.words, Counter)
    assert (right.seen, right.newest, right.words) == ({1, 3}, {}, Counter())


def test_what_an_earlier_router_did_not_know_stays_as_it_was_made():
    whole = Whole()
    data = disk(whole)
    del data["new"]
    data["part"] = [0.5, 0.5]
    data["line"] = ["a", [1]]
    whole.restore(data)
    assert (whole.new, whole.part.rung, whole.line.end.y) == (5, False, 0.5)
    data["part"] = None
    whole.restore(data)  # it was not there then
    assert whole.part.sums == [0.5, 0.5]


@pytest.mark.parametrize(
    "damage",
    [
        {"counts": [1]}, {"counts": [1, 2, 3]}, {"counts": None}, {"counts": ["1", 2]},
        {"hidden": 5}, {"way": "sideways"}, {"pair": [1]}, {"pair": [1, "c", 2]}, {"line": []},
        {"line": ["a", [1, 2.0, 3]]}, {"ways": []}, {"newest": {"1": 2}}, {"newest": [[1, 2, 3]]},
        {"newest": [[]]}, {"of": [1]}, {"part": [0.5]}, {"listed": [[8, 0.0, 0.0, False]]},
        {"bare": 1, "stable": None}, {"seen": 4}, {"maybe": "much"}, {"line": 5},
        {"counts": [math.inf, 2]}, {"waiting": [5]},
    ],
)  # fmt: skip
def test_what_is_damaged_is_refused(damage):
    whole = Whole()
    with pytest.raises((ValueError, KeyError, TypeError)):
        whole.restore(disk(whole) | damage)


def test_what_is_missing_is_refused():
    data = disk(Whole())
    for key in set(data) - {"new"}:
        with pytest.raises(KeyError):
            Whole().restore({name: value for name, value in data.items() if name != key})


def test_a_part_that_nobody_made_is_refused():
    whole = Whole()
    data = disk(whole)
    whole.part = None
    with pytest.raises(ValueError, match="no such part"):
        whole.restore(data)


def test_what_no_snapshot_can_hold_is_refused_when_it_is_first_asked_for():
    with pytest.raises(TypeError, match="complex"):
        codec_of(complex)


def test_every_class_that_keeps_something_can():
    for module in pkgutil.walk_packages(router.core.__path__, "router.core."):
        importlib.import_module(module.name)
    kinds = [kind for kind in below(Lasting) if kind.__module__.startswith("router.")]
    assert len(kinds) > 40
    for kind in kinds:
        assert _layout(kind) or inspect.isabstract(kind), kind


def below(kind):
    return [one for sub in kind.__subclasses__() for one in (sub, *below(sub))]


class Lone(NamedTuple):
    only: Way


class Counts(NamedTuple):
    bad: int
    ok: int
    why: str


def test_records_that_wait_by_the_thousand_are_dumped_with_a_call_for_each_field_that_needs_one():
    codec, one = codec_of(list[Point]), codec_of(Lone)
    first = codec_of(Counts)
    calls = []
    sys.setprofile(lambda _frame, event, _arg: calls.append(event))
    try:
        plain = first.dump(Counts(1, 2, ""))
    finally:
        sys.setprofile(None)
    assert plain == [1, 2, ""]
    assert calls.count("call") < len(Counts._fields), "none for what is as it is"
    assert codec.dump([Point(1, 2), Point(3, 4)]) == [[1, 2], [3, 4]]
    way = next(iter(Way))
    assert one.load(one.dump(Lone(way)), None) == Lone(way)
