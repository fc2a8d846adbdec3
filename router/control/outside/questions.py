"""When gates that measure outside are asked, and whose answer it is.

How a question is carried out is :mod:`router.control.outside.measure`. A gate on usage asks nobody:
it is given what is known here.
"""

from __future__ import annotations

import asyncio
from typing import Final

from router.control.outside.measure import Asker, Inquiry, headers_of
from router.control.predictions.usage import Usages
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.run import Live, Run
from router.control.state.clock import Clock
from router.core.gates.gate import Measurement
from router.core.gates.measured import Measured
from router.core.gates.polled import Polled
from router.loops import my_turn, net

ASK_EVERY_S: Final = 0.5
"""How often gates that measure outside are looked at."""

ASKED_A_TURN: Final = 200
"""Rollouts whose gates are asked in one turn of the loop whether they have a question."""


class Questions:
    """See the module."""

    def __init__(self, reconciler: Reconciler, usages: Usages, clock: Clock) -> None:
        self._reconciler = reconciler
        self._usages = usages
        self._clock = clock
        self._asker = Asker(self._answered)

    def __repr__(self) -> str:
        return f"<Questions {self._asker!r}>"

    async def open(self) -> None:
        """Questions may be asked from here on."""
        await self._asker.__aenter__()

    async def close(self) -> None:
        """Give up what is under way."""
        await self._asker.__aexit__(None, None, None)

    async def turn(self) -> None:
        """Ask what is due, of every live rollout."""
        for number, run in enumerate(list(self._reconciler.runs.values())):
            if number % ASKED_A_TURN == ASKED_A_TURN - 1:
                await my_turn()
            if live := run.live:
                with net("questions"):
                    self._ask_for(run, live)
        await asyncio.sleep(ASK_EVERY_S)

    def _ask_for(self, run: Run, live: Live) -> None:
        judge = live.trial.judge
        for title in judge.due(self._clock.now()):
            gate = judge.gates[title]
            if isinstance(gate, Measured):
                self._reconciler.measured(run, title, gate.taken(self._usages.seen(run)))
            elif isinstance(gate, Polled):
                name, headers = run.route.name, headers_of(run.route, gate)
                self._asker.ask(Inquiry(name, gate, _about(name, live), headers))

    def _answered(self, question: Inquiry, measurement: Measurement) -> None:
        """An answer belongs to the attempt that asked; a later one asks for itself."""
        run = self._reconciler.runs.get(question.route)
        if run is None or run.live is None:
            return
        about, rollout = (question.about["rollout"], question.about["attempt"]), run.live.rollout
        if about == (rollout.id, rollout.attempt):
            self._reconciler.measured(run, question.gate.title, measurement)


def _about(route: str, live: Live) -> dict[str, str | int]:
    """What a webhook is told."""
    rollout = live.rollout
    return {
        "route": route,
        "rollout": rollout.id,
        "attempt": rollout.attempt,
        "stable": rollout.stable,
        "candidate": rollout.candidate,
        "phase": rollout.phase.value,
        "step": rollout.step + 1,
        "weight_bp": live.split.candidate_bp,
    }
