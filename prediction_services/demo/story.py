"""The play: four candidates, four ways in which a rollout can end.

1. A better model: shadow, canary 1 → 5 → 25 → 50 → 100 %, bake, promoted.
2. A model that lies (its delay feature is silently 0): statuses and times are perfect, its
   predictions are not; caught in the shadow, before any client has met it.
3. A model that begins to fail in the middle of its canary: its failures are answered by stable,
   counted against it, and a few of them are enough.
4. A healthy model, switched to in one moment (blue-green), and a person who wants it back.

Nothing is timed by sleeping and hoping: each act goes on when the router's own status says so, or
gives up at its deadline.
"""

import asyncio
from collections.abc import Callable

from prediction_services.demo.cast import BROKEN_ZERO, V2, V3, V4, V5, Player
from prediction_services.demo.policy import BLUE_GREEN, CANARY, Rollout
from prediction_services.demo.recorder import Recorder
from prediction_services.demo.recording import Act, Command, Moment
from prediction_services.demo.stage import Stage

POLL_S = 0.05

PATIENCE_S = 120.0
"""Longest wait for anything. A free machine needs a tenth of it; a busy one gets less load, and
then each step waits longer for its samples."""

WARM_UP_S = 4.0
"""Stable alone: what the gates know of its past."""

AFTERMATH_S = 3.0
"""How long one looks at the traffic after a turn of events."""

FAULT_AT_BP = 500
"""Weight of the canary at which v4 begins to fail."""

FAULT_AFTER_ANSWERS = 6
"""Good answers of v4 to clients before it begins to fail."""

SWITCHED_S = 4.0
"""How long v5 has all traffic before a person takes it back."""

ORDER = "checkout reports odd predictions"
"""What the person says."""


class StoryError(Exception):
    """The play could not go on; the message says what was waited for."""


class Story:
    """Plays the acts.

    Attributes:
        act: number of the present act, 0 before the first.
        title: its title.
    """

    def __init__(self, stage: Stage, recorder: Recorder) -> None:
        self.act = 0
        self.title = "stable v2 alone"
        self._stage = stage
        self._recorder = recorder
        self._begun_s = 0.0
        self._candidate = ""

    async def play(self) -> None:
        """All acts in order.

        Raises:
            StoryError: something that must happen did not, by its deadline.
        """
        await asyncio.sleep(WARM_UP_S)
        await self._better_model()
        await self._lying_model()
        await self._failing_model()
        await self._change_of_mind()

    async def _better_model(self) -> None:
        self._begin("A better model is promoted")
        await self._release(V2, V3, CANARY)
        await self._until("v3 is promoted", lambda now: now.phase == "completed")
        await asyncio.sleep(AFTERMATH_S)
        self._end(V3, "canary")

    async def _lying_model(self) -> None:
        self._begin("A model that lies is caught in the shadow")
        await self._release(V3, BROKEN_ZERO, CANARY)
        await self._until("broken-zero is taken back", _taken_back)
        await asyncio.sleep(AFTERMATH_S)
        self._end(BROKEN_ZERO, "canary")

    async def _failing_model(self) -> None:
        self._begin("A model that fails is taken back from its canary")
        await self._release(V3, V4, CANARY)
        await self._until("v4 reaches 5 %", lambda now: now.weight_bp >= FAULT_AT_BP)
        enough = self._recorder.answered(V4.name) + FAULT_AFTER_ANSWERS
        await self._until(
            "v4 answers clients", lambda _: self._recorder.answered(V4.name) >= enough
        )
        await self._stage.services[V4.name].set_faults(error_rate=1.0)
        self._recorder.mark("fault", "v4 begins to answer every request with 500")
        await self._until("v4 is taken back", _taken_back)
        await asyncio.sleep(AFTERMATH_S)
        self._end(V4, "canary")

    async def _change_of_mind(self) -> None:
        self._begin("A person takes a blue-green switch back")
        await self._release(V3, V5, BLUE_GREEN)
        await self._until("v5 has all traffic", lambda now: now.weight_bp == 10_000)
        await asyncio.sleep(SWITCHED_S)
        carried = await self._stage.admin.order("rollback", ORDER)
        answer = carried.answer
        self._recorder.recording.commands.append(
            Command(
                at_s=self._recorder.clock_s,
                verb="rollback",
                reason=ORDER,
                took_ms=carried.took_ms,
                router_ms=float(answer.get("took_s", 0.0)) * 1000,
                phase=str(answer.get("phase", "")),
                sentence=str(answer.get("reason", "")),
            )
        )
        self._recorder.mark("command", f"rollback: all traffic back in {carried.took_ms:.0f} ms")
        await self._until("v5 is taken back", _taken_back)
        await asyncio.sleep(AFTERMATH_S)
        self._end(V5, "blue_green")

    async def _release(self, stable: Player, candidate: Player, strategy: str) -> None:
        """Edit the policy file as an operator does, and see the rollout begin."""
        self._candidate = candidate.name
        policy = self._stage.policy.edited(stable.name, Rollout(candidate.name, strategy))
        self._stage.write(policy)
        way = "canary" if strategy == CANARY else "blue-green"
        text = f"policy edited: {way} of {candidate.name} beside {stable.name}"
        self._recorder.mark("edit", text, policy.text())
        await self._until(
            f"the rollout of {candidate.name} begins",
            lambda now: now.candidate == candidate.name,
        )

    async def _until(self, what: str, reached: Callable[[Moment], bool]) -> None:
        """Wait for the present candidate to get somewhere.

        Raises:
            StoryError: not within ``PATIENCE_S``, or it can get there no more.
        """
        candidate = self._candidate
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (now := self._recorder.now) is None or not reached(now):
                    if now is not None and now.candidate == candidate and _taken_back(now):
                        raise StoryError(f"waited in vain: {what}; {candidate} was taken back")
                    await asyncio.sleep(POLL_S)
                    if not self._stage.router.running:
                        raise StoryError(self._stage.router.trouble("stopped"))
        except TimeoutError:
            raise StoryError(f"waited {PATIENCE_S:g} s in vain: {what}; {_where(now)}") from None

    def _begin(self, title: str) -> None:
        self.act += 1
        self.title = title
        self._begun_s = self._recorder.clock_s
        self._recorder.mark("act", f"{self.act}. {title}")

    def _end(self, candidate: Player, strategy: str) -> None:
        self._recorder.recording.acts.append(
            Act(
                number=self.act,
                title=self.title,
                candidate=candidate.name,
                begins_s=self._begun_s,
                ends_s=self._recorder.clock_s,
                strategy=strategy,
            )
        )


def _taken_back(now: Moment) -> bool:
    return now.phase == "rolled_back"


def _where(now: Moment | None) -> str:
    if now is None:
        return "there is no rollout"
    return (
        f"{now.candidate} is {now.phase} in step {now.step} of {now.steps} "
        f"at {now.weight_bp / 100:g} %, evidence {now.evidence:.3g} : 1"
    )
