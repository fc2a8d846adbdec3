"""How well versions did, read from the prediction log by :mod:`router.reader.performance`.

One reading at a time, and each answer is kept for a while (:data:`KEPT_S`, or ten times what the
reading took): ten people who look at a page of a large log cost no more than one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import Final

from router.control.predictions.booked import PredictionLog
from router.control.state.clock import Clock
from router.control.state.errors import LogUnreadable, NotLogged
from router.control.told.data_views import PerformanceView

READ_WITHIN_S: Final = 30.0
KEPT_S: Final = 5.0
"""Shortest time after which the log is read again for the same question."""
REST: Final = 10.0
"""A reading is not repeated within so many times what it took."""
ANSWERS_MAX: Final = 64
"""Questions whose answers are kept; the oldest goes."""

_Question = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class _Answer:
    told: PerformanceView
    until_s: float


class Performed:
    """Answers of the prediction log."""

    def __init__(self, clock: Clock, log: PredictionLog) -> None:
        self._clock = clock
        self._log = log
        self._answers: dict[_Question, _Answer] = {}
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Performed {len(self._answers)} answers>"

    async def of(self, route: str, span_s: float) -> PerformanceView:
        """Of a route's last ``span_s`` seconds. Raises LogUnreadable."""
        if not self._log.keeps(route):
            raise NotLogged(f"{route} keeps no predictions: add log: {{}} to it")
        place = self._log.file
        question = place, route, span_s
        if (known := self._known(question)) is not None:
            return known
        async with self._turn:
            if (known := self._known(question)) is not None:  # somebody asked the same before
                return known
            began = self._clock.now()
            told = await self._read(place, route, span_s)
            took_s = self._clock.now() - began
            view = self._view(told, place, route, span_s, took_s)
            while len(self._answers) >= ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
            kept_s = max(KEPT_S, REST * took_s)
            self._answers[question] = _Answer(view, self._clock.now() + kept_s)
            return view

    def _known(self, question: _Question) -> PerformanceView | None:
        answer = self._answers.get(question)
        if answer is None:
            return None
        if self._clock.now() < answer.until_s:
            return answer.told
        del self._answers[question]
        return None

    def _view(
        self, told: bytes, place: str, route: str, span_s: float, took_s: float
    ) -> PerformanceView:
        try:
            found = json.loads(told)
        except ValueError:
            raise LogUnreadable("the reader of the log ended without an answer") from None
        if "error" in found:
            raise LogUnreadable(found["error"])
        more = {"route": route, "file": place, "span_s": span_s, "took_s": round(took_s, 3)}
        return PerformanceView.of({**found, **more})

    async def _read(self, place: str, route: str, span_s: float) -> bytes:
        now = self._clock.wall()
        asked = {"place": place, "route": route, "since": now - span_s, "until": now}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "router.reader.performance",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                said, _ = await process.communicate(json.dumps(asked).encode())
        except TimeoutError:
            text = f"the log could not be read within {READ_WITHIN_S:.0f} s"
            raise LogUnreadable(text) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return said
