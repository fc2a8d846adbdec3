"""Monitors at work: fed by what the reader found, asked by the decider, kept in the store.

One :class:`router.core.monitors.monitors.Monitors` for each route with `monitors:`. Its alarms go
into the journal and to alerts once when they begin and once when they end. The decider reads what
holds and never waits: :meth:`Watching.before`, :meth:`Watching.holds`, :meth:`Watching.convicts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from router.control.predictions.reference import profiles
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.restraint import Tell
from router.control.rollouts.run import Run
from router.control.state.clock import Clock
from router.control.state.record import Change
from router.control.state.settings import StoreSettings
from router.control.state.store import Store
from router.core.monitors.alarm import Alarm, AlarmCause
from router.core.monitors.monitors import Monitors
from router.core.monitors.settings import Settings
from router.core.monitors.watched import Watched
from router.core.policy import Route
from router.core.policy.kept import watched_segment
from router.core.policy.monitors import MonitorsPolicy
from router.core.wire.sampled import Sampled
from router.core.words import count
from router.loops import background, my_turn, net

LOOK_EVERY_S: Final = 0.5
"""How often monitors are told the time."""
LOOKS_A_TURN: Final = 8
"""Routes with monitors that are told in one turn of the loop."""
STORE_EVERY_S: Final = 60.0
"""How much of what was counted ``kill -9`` may forget."""
AGAIN_AFTER_S: Final = 60.0
"""When a reference that could not be read is tried again."""


@dataclass(eq=False)
class RouteWatch:
    """One route's monitors."""

    monitors: Monitors
    policy: MonitorsPolicy
    stable: str = ""
    """Whose answers are known."""
    trouble: str = ""
    """Why the reference could not be read."""
    again_at: float = 0.0
    reading: bool = False
    read: bool = True
    """The reference is there."""
    never: set[str] = field(default_factory=set)
    """Features that no request had, as was told."""


class Watching:
    """See the module. Everything but the reading of files happens in the loop turn it comes in."""

    def __init__(self, reconciler: Reconciler, store: Store, clock: Clock, tell: Tell) -> None:
        self._reconciler = reconciler
        self._store = store
        self._clock = clock
        self._tell = tell
        self.watches: dict[str, RouteWatch] = {}
        self._kept: dict[str, object] = {}
        self._stored_s = clock.now()

    def __repr__(self) -> str:
        return f"<Watching {len(self.watches)} routes>"

    def resume(self, settings: StoreSettings) -> None:
        """Take over what the store holds; called once, before the first policy."""
        self._kept = dict(settings.monitors)

    # --- what it is fed ---------------------------------------------------------------------------

    def take(self, sample: Sampled, watched: Watched) -> None:
        """Rows of one sampled request."""
        name, role = sample.route, sample.role
        run, watch = self._reconciler.runs.get(name), self.watches.get(name)
        if run is None or watch is None or run.route.predictions is None:
            return
        if role == "candidate" and (run.live is None or sample.revision < run.live.trial.revision):
            role = "other"
        features = watched.features(run.route.predictions.declared)
        watch.monitors.observe(
            features, watched.outputs(), self._clock.wall(), role=role,
            segment=watched_segment(run.route, sample.segments),
        )  # fmt: skip

    def labelled(self, name: str, version: str, right: int, wrong: int) -> None:
        """Labels of a prediction's rows; stable's tell whether what is right has changed."""
        run, watch = self._reconciler.runs.get(name), self.watches.get(name)
        if run is not None and watch is not None and version == run.record.stable:
            watch.monitors.labelled(right, wrong, self._clock.wall())

    # --- the loop ---------------------------------------------------------------------------------

    async def turn(self) -> None:
        """Tell the time to everyone, once."""
        await asyncio.sleep(LOOK_EVERY_S)
        for part in self.parts():
            await my_turn()
            part()

    def parts(self) -> Iterator[Callable[[], None]]:
        """Follow the policy, look at everything, store now and then; each for a turn of its own."""
        known = self._reconciler.runs
        for name in [watched for watched in self.watches if watched not in known]:
            del self.watches[name]
        runs: list[Run] = []
        for run in known.values():
            with net("monitors"):
                if run.route.monitors is not None or run.route.name in self.watches:
                    runs.append(run)
        for first in range(0, len(runs), LOOKS_A_TURN):
            yield partial(self._look_at, runs[first : first + LOOKS_A_TURN])
        if self._clock.now() - self._stored_s >= STORE_EVERY_S:
            yield self.keep

    def _look_at(self, runs: Iterable[Run]) -> None:
        for run in runs:
            with net("monitors"):
                self._adopt(run)
                if watch := self.watches.get(run.route.name):
                    self._look(run, watch)

    def _adopt(self, run: Run) -> None:
        """One route as the policy of the moment has it."""
        name, policy, predictions = run.route.name, run.route.monitors, run.route.predictions
        if policy is None or predictions is None:
            if self.watches.pop(name, None) is not None:
                run.drift = ()
            return
        settings, watch = policy.settings(predictions), self.watches.get(name)
        if watch is None or watch.monitors.settings.unlike(settings):
            monitors = self._restored(name, settings)
            read = monitors is not None or not settings.reference
            watch = self.watches[name] = RouteWatch(
                monitors or Monitors(settings), policy, read=read
            )
        watch.policy = policy
        watch.monitors.use(settings)
        if not watch.read and not watch.reading and self._clock.now() >= watch.again_at:
            watch.reading = True
            background("monitors", self._read(name, watch, settings))

    def _restored(self, name: str, settings: Settings) -> Monitors | None:
        """As the store has them; None where it has none, or of another policy."""
        kept = self._kept.pop(name, None)
        try:
            return Monitors.restored(settings, kept) if kept else None
        except (KeyError, TypeError, ValueError):
            return None

    async def _read(self, name: str, watch: RouteWatch, settings: Settings) -> None:
        try:
            found = await profiles(
                settings.reference, settings.features, settings.by, settings.segments
            )
        except (ValueError, OSError) as error:
            self._unread(name, watch, str(error))
        else:
            watch.monitors, watch.read = Monitors(watch.monitors.settings, *found), True
            watch.stable = watch.trouble = ""
        finally:
            watch.reading = False
            self._wake(name)

    def _unread(self, name: str, watch: RouteWatch, why: str) -> None:
        watch.again_at = self._clock.now() + AGAIN_AFTER_S
        run = self._reconciler.runs.get(name)
        if why != watch.trouble and run is not None:
            self._told(run, f"the reference cannot be read: {why}")
        watch.trouble = why

    def _look(self, run: Run, watch: RouteWatch) -> None:
        stable, live = run.record.stable, run.live
        if watch.stable != stable:
            if watch.stable:
                watch.monitors.forget_answers()
            watch.stable = stable
        watch.monitors.begin(f"{live.rollout.id}/{live.rollout.attempt}" if live else "")
        if not watch.read:
            return
        news = watch.monitors.tick(self._clock.wall())
        run.drift = tuple(alarm.sentence() for alarm in watch.monitors.lasting())
        for alarm in news:
            self._told(run, alarm.sentence())
        for name, signal in watch.monitors.inputs.items():
            if signal.never and name not in watch.never and not watch.monitors.settings.reference:
                watch.never.add(name)
                self._told(run, f"no request had the feature {name}, so nothing is watched of it")
        if news or not watch.monitors.compared:
            self._wake(run.route.name)

    def _told(self, run: Run, text: str) -> None:
        self._reconciler.note(run, "drift", text)
        self._tell("drift", run, text)

    def _wake(self, name: str) -> None:
        if (run := self._reconciler.runs.get(name)) is not None:
            run.look_at = 0.0
            self._reconciler.wake.set()

    # --- what the decider asks --------------------------------------------------------------------

    def before(self, route: Route) -> str:
        """Why a rollout may not begin yet; empty when it may."""
        if route.monitors is None or route.predictions is None:
            return ""
        file = route.monitors.reference.file
        if not file or not route.predictions.features or route.monitors.on_drift != "hold":
            return ""
        watch = self.watches.get(route.name)
        if watch is None or not watch.read:
            return watch.trouble if watch and watch.trouble else f"{file} is being read"
        if not watch.monitors.compared:
            wanted = count(watch.policy.requests, "sampled request")
            seen = watch.monitors.requests
            return f"traffic is compared with {file} first: {seen:,} of {wanted}"
        return "; ".join(
            a.sentence() for a in watch.monitors.holding() if a.cause is AlarmCause.REFERENCE
        )

    def holds(self, run: Run) -> Alarm | None:
        """What keeps a rollout where it is."""
        watch = self.watches.get(run.route.name)
        if watch is None:
            return None
        if watch.policy.on_drift == "hold" and (held := watch.monitors.holding()):
            return held[0]
        return watch.monitors.convicting() if watch.policy.on_candidate == "hold" else None

    def convicts(self, run: Run) -> Alarm | None:
        """What takes the candidate back."""
        watch = self.watches.get(run.route.name)
        if watch is None or watch.policy.on_candidate != "rollback":
            return None
        return watch.monitors.convicting()

    def accept(self, run: Run, actor: str, reason: str) -> int:
        """A person says that data are as they are now; how many alarms that settled."""
        watch = self.watches.get(run.route.name)
        done = watch.monitors.accept() if watch is not None else 0
        if done:
            why = f": {reason}" if reason else ""
            self._reconciler.note(run, "drift", f"{actor} accepts {count(done, 'change')}{why}")
            self._wake(run.route.name)
            self.keep()
        return done

    # --- state ------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Write everything; one that fails is written again with the next."""
        self._stored_s = self._clock.now()
        taken = {
            name: watch.monitors.snapshot() for name, watch in self.watches.items() if watch.read
        }
        if taken:
            kept = StoreSettings(monitors=taken)
            done = self._store.commit(Change(self._clock.now(), settings=kept))
            done.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
