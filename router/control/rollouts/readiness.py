"""Whether a version can take more traffic: what the workers' probes say of its endpoints.

A version is *ready* while one endpoint answers its probe (the declared one, or for a live candidate
a connect each second). It is *steady* when all of them answer, and did so for a while: an endpoint
that is ejected again and again hides a broken half of the version, and all traffic would meet it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from router.control.told.views import EndpointView
from router.core.wire.counts import EndpointState
from router.core.words import count, duration

VersionKey = tuple[str, str]
"""Route and version."""

SETTLE_S: Final = 5.0
"""What had no endpoint that answers counts as ready again when one has answered for so long."""

STEADY_S: Final = 60.0
"""An endpoint that went away counts as steady so long after it; times the number of times."""

DROPS_S: Final = 600.0
"""How long it is remembered that an endpoint went away."""

DROPS_MAX: Final = 10
"""Times that are remembered, for each endpoint."""


class Readiness:
    """The last word of every worker about every endpoint, and how often each one went away."""

    def __init__(self, *, probed: bool = False) -> None:
        """``probed``: workers report what they see, so what none has told of is not ready."""
        self.probed = probed
        self._states: dict[VersionKey, dict[tuple[int, str], EndpointState]] = {}
        self._drops: dict[VersionKey, dict[str, deque[float]]] = {}
        self._down: dict[VersionKey, float] = {}
        """When a version that had answered had no endpoint that does, for the last time."""

    def __repr__(self) -> str:
        return f"<Readiness of {count(len(self._states), 'version')}>"

    def told(self, worker: int, states: Iterable[EndpointState], now: float) -> set[VersionKey]:
        """Keep the last state of every endpoint as this worker sees it; who changed by it."""
        changed: set[VersionKey] = set()
        for state in states:
            key = (state.route, state.version)
            known = self._states.setdefault(key, {})
            before = known.get((worker, state.endpoint))
            answered = any(map(_ready, known.values()))
            known[(worker, state.endpoint)] = state
            if before is None or _ready(before) is not _ready(state):
                changed.add(key)
            if before is not None and _ready(before) and not _answers(state):
                drops = self._drops.setdefault(key, {})
                drops.setdefault(state.endpoint, deque(maxlen=DROPS_MAX)).append(now)
                if answered and not any(map(_ready, known.values())):
                    self._down[key] = now
        return changed

    def forget_worker(self, worker: int) -> None:
        """What it saw is history."""
        for states in self._states.values():
            for key in [key for key in states if key[0] == worker]:
                del states[key]

    def keep_only(self, versions: Collection[VersionKey]) -> None:
        """Forget versions that left the policy."""
        for table in (self._states, self._drops, self._down):
            for key in [key for key in table if key not in versions]:
                del table[key]

    def keep_endpoints(self, versions: Mapping[VersionKey, Iterable[str]]) -> None:
        """Forget endpoints of these versions that left the policy; of none told, nothing."""
        for key, endpoints in versions.items():
            here, states = set(endpoints), self._states.get(key, {})
            for seen in [seen for seen in states if here and seen[1] not in here]:
                del states[seen]
            for gone in [name for name in self._drops.get(key, ()) if here and name not in here]:
                del self._drops[key][gone]

    # --- what follows from it -----------------------------------------------------------------

    def unready(self, route: str, version: str, here: Collection[str], now: float) -> str:
        """That no endpoint of a version answers its probes, in a sentence; empty while one does.

        ``here``: its endpoints. Where no workers report, what nobody has told of is not known to be
        ill.
        """
        key = (route, version)
        states = [one for (_, name), one in self._states.get(key, {}).items() if name in here]
        if not states and not self.probed:
            return ""
        if not any(map(_ready if self.probed else _answers, states)):
            error = next((one.last_error for one in states if one.last_error), "")
            asked = any(one.ready is not None for one in states) or not self.probed
            why = error or ("no endpoint answers" if asked else "no worker has reached it yet")
            return f"{version} is not ready: {why}"
        since = now - self._down.get(key, -SETTLE_S)
        if since < SETTLE_S:
            return f"{version} is not ready: nothing of it answered {duration(since)} ago"
        return ""

    def heard_of(self, route: str, version: str) -> bool:
        """Whether a worker has said anything: after a start nobody has, and that stops no clock."""
        states = self._states.get((route, version), {}).values()
        return any(one.ready is not None or not _answers(one) for one in states)

    def unsteady(self, route: str, version: str, now: float) -> str:
        """Which endpoints do not answer, or came and went of late; empty when all are well."""
        key = (route, version)
        states = self._states.get(key, {})
        names = sorted({name for _, name in states})
        silent = {name for (_, name), state in states.items() if not _answers(state)}
        ill = [name for name in names if name in silent]
        if ill:
            error = next((s.last_error for s in states.values() if s.endpoint == ill[0]), "")
            why = error or "it is ejected for failing"
            whole = count(len(names), "endpoint")
            verb = "does" if len(ill) == 1 else "do"
            return f"{len(ill)} of {whole} of {version} {verb} not answer: {ill[0]}: {why}"
        for name, drops in self._drops.get(key, {}).items():
            times = sum(now - at < DROPS_S for at in drops)
            if times and now - drops[-1] < STEADY_S * times:
                often = "once" if times == 1 else f"{times} times"
                ago = duration(now - drops[-1])
                return f"{name} of {version} went away {often} in {duration(DROPS_S)}, {ago} ago"
        return ""

    def view(self, route: str, version: str) -> list[EndpointView]:
        """Every endpoint for people, all workers together."""
        seen: dict[str, list[EndpointState]] = {}
        for (_, name), state in self._states.get((route, version), {}).items():
            seen.setdefault(name, []).append(state)
        return [
            EndpointView(
                endpoint=name,
                healthy=all(one.healthy for one in states),
                ejected=any(one.ejected for one in states),
                in_flight=sum(one.in_flight for one in states),
                open_connections=sum(one.open_connections for one in states),
                last_error=next((one.last_error for one in states if one.last_error), ""),
            )
            for name, states in seen.items()
        ]


def _answers(state: EndpointState) -> bool:
    return state.healthy and not state.ejected and state.ready is not False


def _ready(state: EndpointState) -> bool:
    return state.ready is True and _answers(state)
