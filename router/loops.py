"""Everything that must run for ever, and every job beside it: the only place where they begin.

What runs for ever meets foreign bytes, full disks and bugs of ours. One exception must cost the
item it came from, never the loop: a decider that has ended takes nobody back, a writer that has
ended forgets rollbacks in silence. So tasks and threads begin here and nowhere else:

    forever(name, turn)      calls ``turn`` again and again; what it raises costs that turn
    background(name, job)    a task that nobody waits for; what it raises is counted
    awaited(job)             a task whose result somebody fetches, with its exception
    thread(name, job)        a thread of its own, which tells how it ended
    net(name)                around one item of a loop or a callback

Work that is done for a thousand routes is done in parts, and asks before each of them:

    await my_turn()          one part, of whatever work, goes on in each turn of the event loop
    in_turn(part)            the same for a callback

Parts that merely let the loop go (``sleep(0)``) all come back in the next turn, beside each other,
and ten parts of 4 ms are 40 ms in which nobody is taken back.

What was raised (MemoryError and RecursionError too) is counted by the name of the loop, which is in
health pages and metrics, and told in the log once for each place in the code. Cancelling is no
failure. The books are those of the process, as the loops are.

Supervision as in Erlang/OTP (J. Armstrong, 2003, chapter 5), but what restarts is a turn.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar
from weakref import WeakKeyDictionary

PAUSES_S: Final = (0.0, 0.01, 0.05, 0.25, 1.0)
"""Before the next turn after one, two, ... failures in a row; the last one repeats."""
TOLD_MAX: Final = 200
"""Places in the code whose failures are told; later ones are counted only."""
TEXT_CHARS_MAX: Final = 200
"""Kept of an exception's text, which may quote foreign bytes."""
FRAMES_MAX: Final = 8
"""Innermost frames that are told."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LoopFailure:
    """One exception, as it is told."""

    loop: str
    error: str
    stack: tuple[str, ...]


@dataclass(slots=True)
class Failures:
    """What was raised in the loops of one name."""

    count: int = 0
    last: str = ""


class Books:
    """What failed in this process. ``tell`` is set where the process has a log."""

    def __init__(self) -> None:
        self.failures: dict[str, Failures] = {}
        self.tell: Callable[[LoopFailure], None] = lambda _failure: None
        self._told: set[tuple[str, ...]] = set()
        self._taken: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Books {sum(f.count for f in self.failures.values())} failures>"

    def failed(self, loop: str, error: BaseException) -> None:
        """Count one exception and tell it, if its like was not told before. Never raises."""
        kept = self.failures.setdefault(loop, Failures())
        kept.count += 1
        kept.last = _text(error)
        stack = places_of(error)
        place = (loop, type(error).__name__, *stack[-1:])
        if place in self._told or len(self._told) >= TOLD_MAX:
            return
        self._told.add(place)
        try:
            self.tell(LoopFailure(loop, kept.last, stack))
        except Exception:  # noqa: BLE001 - a log that fails must not end what it tells of
            kept.last += " (and it could not be told)"

    def take(self) -> dict[str, int]:
        """Failures by loop since the last call: what a process tells another."""
        fresh = {
            name: kept.count - self._taken.get(name, 0)
            for name, kept in self.failures.items()
            if kept.count > self._taken.get(name, 0)
        }
        self._taken |= {name: kept.count for name, kept in self.failures.items()}
        return fresh

    def problems(self) -> list[str]:
        """One line for each loop that failed: for health pages."""
        return [
            f"loop {name}: failed {'once' if kept.count == 1 else f'{kept.count} times'}, "
            f"last: {kept.last}"
            for name, kept in self.failures.items()
        ]


BOOKS: Final = Books()
"""Of this process."""


def places_of(error: BaseException) -> tuple[str, ...]:
    """Where it was raised, ``file:line function``, the innermost last; at most FRAMES_MAX.

    The source is not read: files on a slow disk, and a process does nothing else meanwhile.
    """
    frames = deque(traceback.walk_tb(error.__traceback__), FRAMES_MAX)
    return tuple(
        f"{Path(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}"
        for frame, line in frames
    )


_jobs: set[asyncio.Task[Any]] = set()
"""The event loop holds its tasks only weakly."""


async def forever(name: str, turn: Callable[[], Awaitable[object]]) -> NoReturn:
    """Call ``turn`` until cancelled. What it raises is counted and costs that turn alone."""
    in_a_row = 0
    while True:
        try:
            await turn()
            in_a_row = 0
            await asyncio.sleep(0)  # a turn that waits for nothing must not hold the loop
        except Exception as error:  # noqa: BLE001 - the one net under everything that must go on
            BOOKS.failed(name, error)
            await asyncio.sleep(PAUSES_S[min(in_a_row, len(PAUSES_S) - 1)])
            in_a_row += 1


def background(name: str, job: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """A task that nobody waits for; what it raises is counted."""
    task = awaited(job)
    task.set_name(name)
    task.add_done_callback(_ended)
    return task


def awaited(job: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """A task whose result, or exception, somebody fetches."""
    task = asyncio.get_running_loop().create_task(job)
    _jobs.add(task)
    task.add_done_callback(_jobs.discard)
    return task


def thread(
    name: str, job: Callable[[], None], ended: Callable[[], None] = lambda: None
) -> threading.Thread:
    """Start a daemon thread. ``ended`` is called in it when ``job`` is over, however that came."""

    def run() -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - a thread ends nothing but itself
            BOOKS.failed(name, error)
        finally:
            ended()

    started = threading.Thread(target=run, name=name, daemon=True)
    started.start()
    return started


@contextmanager
def net(name: str) -> Iterator[None]:
    """What is raised inside is counted, and goes no further."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see the module
        BOOKS.failed(name, error)


PARTS_A_TURN: Final = 1
"""Of some 3 ms each; a turn has the decider's own work, too."""


class Turnstile:
    """Lets one part of long work through in each turn of a loop; first come, first served.

    What must not wait (the decider, reports of workers, orders) does not come through here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turn = loop.call_soon
        self._waiting: deque[Callable[[], object]] = deque()
        self._open = False

    def __repr__(self) -> str:
        return f"<Turnstile {len(self._waiting)} waiting>"

    def put(self, part: Callable[[], object]) -> None:
        """Call ``part`` when everything before it has had a turn; never in this one."""
        self._waiting.append(part)
        if not self._open:
            self._open = True
            self._turn(self._let_in)

    def _let_in(self) -> None:
        if not self._waiting:
            self._open = False
            return
        try:
            for _ in range(min(PARTS_A_TURN, len(self._waiting))):
                self._waiting.popleft()()
        finally:
            self._turn(self._let_in)  # behind those let in: who asks again then has the next turn


_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile] = WeakKeyDictionary()
"""One for each event loop: a process has one, simulated processes have one each."""


def in_turn(part: Callable[[], object]) -> None:
    """Call ``part`` in a later turn of this loop, in which no other part of long work is done."""
    loop = asyncio.get_running_loop()
    if (stile := _turnstiles.get(loop)) is None:
        stile = _turnstiles[loop] = Turnstile(loop)
    stile.put(part)


async def my_turn() -> None:
    """Wait for a turn of the loop in which no other part of long work is done."""
    entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def enter() -> None:
        if not entered.done():  # whoever waited may have been cancelled
            entered.set_result(None)

    in_turn(enter)
    await entered


def _ended(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        BOOKS.failed(task.get_name(), error)


def _text(error: BaseException) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - a foreign exception's own text
        text = type(error).__name__
    return text[:TEXT_CHARS_MAX].encode("utf-8", "replace").decode()
