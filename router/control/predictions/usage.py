"""What versions use and cost, as they report it: for pages, metrics, and gates on usage.

Three sources: scrapes of each endpoint (:mod:`router.control.outside.scrapes`), load headers of
answers (workers tell each endpoint's last one), and the tokens that sampled answers say. Nothing
here asks anybody; what is old is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from router.control.rollouts.readiness import VersionKey
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.run import Run
from router.control.state.clock import Clock
from router.control.told.views import UsageView
from router.core.foreign import Unreadable
from router.core.policy.version import Price
from router.core.usage.orca import reported
from router.core.usage.seen import Spent, UsageFacts
from router.core.usage.signals import Reported, together
from router.core.wire.counts import EndpointState
from router.core.wire.sampled import Sampled
from router.telemetry.metrics import Gauge, labels

OLD_AFTER: Final = 4.0
"""Intervals without a report after which the last one is nothing."""
TROUBLE_CHARS_MAX: Final = 200
FREE: Final = Price()


@dataclass(slots=True)
class EndpointUse:
    """One endpoint: its last reports."""

    scraped: Reported = field(default_factory=dict)
    scraped_at: float = 0.0
    """Rollout clock seconds; 0.0: never."""
    cpu_s: tuple[float, float] | None = None
    """When the counter of CPU seconds was read last, and what it was."""
    trouble: str = ""
    """Why the last question failed."""
    load: str = ""
    """The last load header, as it came."""
    loaded: Reported = field(default_factory=dict)
    loaded_at: float = 0.0
    unread: str = ""
    """Why that cannot be read."""

    def known(self, now: float, old_s: float) -> dict[str, float]:
        """Its signals, while they are fresh; what it was asked for goes before what it said."""
        told = dict(self.loaded) if self.loaded_at and now - self.loaded_at <= old_s else {}
        if self.scraped_at and now - self.scraped_at <= old_s:
            told |= self.scraped
        return told


class Usages:
    """See the module."""

    def __init__(self, reconciler: Reconciler, clock: Clock) -> None:
        self._reconciler = reconciler
        self._clock = clock
        self._uses: dict[VersionKey, dict[str, EndpointUse]] = {}
        self._spent: dict[VersionKey, Spent] = {}
        """Since the attempt of the route's rollout began."""
        self._about: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Usages of {len(self._uses)} versions>"

    # --- what it is told --------------------------------------------------------------------------

    def scraped(
        self, key: VersionKey, endpoint: str, said: Mapping[str, float], now: float
    ) -> None:
        """What one endpoint answered; ``cpu`` is the counter of seconds."""
        use, report = self._use(key, endpoint), dict(said)
        used = report.pop("cpu", None)
        if used is not None:
            before, use.cpu_s = use.cpu_s, (now, used)
            if before is not None and now > before[0] and used >= before[1]:
                report["cpu"] = (used - before[1]) / (now - before[0])
        use.scraped, use.scraped_at, use.trouble = report, now, ""

    def failed(self, key: VersionKey, endpoint: str, why: str) -> None:
        """An endpoint did not answer, or said nothing of use."""
        self._use(key, endpoint).trouble = why[:TROUBLE_CHARS_MAX]

    def told(self, states: Iterable[EndpointState]) -> None:
        """A worker's report: load headers that are new are read; they are short."""
        now = self._clock.now()
        for state in states:
            if state.load:
                use = self._use((state.route, state.version), state.endpoint)
                if state.load != use.load:
                    use.load = state.load
                    try:
                        use.loaded, use.unread = reported(state.load), ""
                    except Unreadable as error:
                        use.loaded, use.unread = {}, str(error)[:TROUBLE_CHARS_MAX]
                use.loaded_at = now

    def spent(self, sample: Sampled, tokens: tuple[int, int]) -> None:
        """The tokens of one answer, of the attempt that is under way."""
        run = self._reconciler.runs.get(sample.route)
        version = run.route.versions.get(sample.version) if run is not None else None
        if run is None or version is None:
            return
        self._begin(run)
        if run.live is None or sample.revision >= run.live.trial.revision:
            money = (version.price or FREE).of(tokens)
            self._spent.setdefault((sample.route, sample.version), Spent()).add(money, tokens)

    def _begin(self, run: Run) -> None:
        """Another attempt is counted anew."""
        name = run.route.name
        about = f"{run.live.rollout.id}/{run.live.rollout.attempt}" if run.live else ""
        if self._about.get(name, about) != about:
            for key in [key for key in self._spent if key[0] == name]:
                del self._spent[key]
        self._about[name] = about

    def _use(self, key: VersionKey, endpoint: str) -> EndpointUse:
        return self._uses.setdefault(key, {}).setdefault(endpoint, EndpointUse())

    def keep_only(self) -> None:
        """Forget what left the policy."""
        if not (self._uses or self._spent or self._about):
            return
        runs = self._reconciler.runs
        versions = {(name, one) for name, run in runs.items() for one in run.route.versions}
        for gone in [key for key in self._uses if key not in versions]:
            del self._uses[gone]
        for gone in [key for key in self._spent if key not in versions]:
            del self._spent[gone]
        for key, uses in self._uses.items():
            known = set(map(str, runs[key[0]].route.versions[key[1]].endpoints))
            for old in [endpoint for endpoint in uses if endpoint not in known]:
                del uses[old]
        for name in [name for name in self._about if name not in runs]:
            del self._about[name]

    # --- what it knows ----------------------------------------------------------------------------

    def seen(self, run: Run) -> UsageFacts:
        """What is known of a live rollout's candidate."""
        self._begin(run)
        name, rollout = run.route.name, run.rollout
        candidate = rollout.candidate if rollout else ""
        version = run.route.versions.get(candidate)
        price = (version.price if version else None) or FREE
        observatory, now = self._reconciler.observatory, self._clock.now()
        asked = {one: observatory.requests(name, one, now) for one in run.route.versions}
        reports = self.signals((name, candidate), run)
        return UsageFacts(
            candidate=reports,
            stable=self.signals((name, run.record.stable), run),
            trouble="" if reports else self._trouble((name, candidate)),
            requests_per_s=sum(rate for _, rate in asked.values()),
            answered=asked[candidate][0] if candidate in asked else 0,
            spent=self._spent.get((name, candidate), Spent()),
            priced=price.tokens,
            per_request=price.per_request,
            per_hour=price.per_hour * (len(version.endpoints) if version else 0),
        )

    def signals(self, key: VersionKey, run: Run) -> dict[str, float]:
        """The mean of each signal over the endpoints that reported it lately."""
        metrics = run.route.metrics
        if metrics is None:
            return {}
        now, old_s = self._clock.now(), OLD_AFTER * metrics.interval + metrics.timeout
        return together(use.known(now, old_s) for use in self._uses.get(key, {}).values())

    def _trouble(self, key: VersionKey) -> str:
        uses = self._uses.get(key, {})
        told = (f"{name}: {one.trouble or one.unread}" for name, one in uses.items()
                if one.trouble or one.unread)  # fmt: skip
        return next(told, f"{key[1]} has reported nothing yet")

    def view(self, route: str, version: str) -> UsageView | None:
        """One version for people; None where nobody asks it anything."""
        run = self._reconciler.runs.get(route)
        if run is None or (run.route.metrics is None and not run.route.tokens_bp):
            return None
        key, spent = (route, version), self._spent.get((route, version), Spent())
        price = run.route.versions[version].price
        signals = self.signals(key, run)
        uses = self._uses.get(key, {})
        troubles = [f"{name}: {one.trouble}" for name, one in uses.items() if one.trouble]
        return UsageView(
            signals={name: round(value, 6) for name, value in signals.items()},
            endpoints=sum(1 for one in uses.values() if one.scraped_at or one.loaded_at),
            trouble=next(iter(troubles), "") or ("" if signals else self._silence(run, key)),
            answers=spent.answers,
            tokens_in=spent.input,
            tokens_out=spent.output,
            per_request=_rounded(price, spent),
        )

    def _silence(self, run: Run, key: VersionKey) -> str:
        return self._trouble(key) if run.route.metrics is not None else ""

    def gauges(self) -> Iterator[Iterator[Gauge]]:
        """The signals of each version, and the tokens since its attempt began; in parts."""
        for key in [*self._uses]:
            yield self._signals_told(key)
        for key in [*self._spent]:
            yield self._spent_told(key)

    def _signals_told(self, key: VersionKey) -> Iterator[Gauge]:
        route, version = key
        run = self._reconciler.runs.get(route)
        known = self.signals(key, run) if run is not None else {}
        for name, value in known.items():
            yield "version_usage", labels(route=route, version=version, signal=name), value

    def _spent_told(self, key: VersionKey) -> Iterator[Gauge]:
        spent, series = self._spent.get(key), labels(route=key[0], version=key[1])
        if spent is not None and spent.answers:
            yield "tokens_per_answer", series, spent.tokens
            yield "token_cost_per_answer", series, spent.mean


def _rounded(price: Price | None, spent: Spent) -> float | None:
    """What a request costs on average; None where nothing is known of that."""
    if price is None or (price.tokens and not spent.answers):
        return None
    return round(price.per_request + spent.mean, 9)
