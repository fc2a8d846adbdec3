"""The numbers of the whole router in Prometheus' text format, and in OpenMetrics.

Workers count, the control process adds up and renders; a scrape costs the data plane nothing. Label
values come from the policy or from fixed lists, never from a request, so there is a largest number
of series. The buckets exposed are the 1-2-5 grid, exact sums of the ones that decisions use.

Text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ ; OpenMetrics 1.0:
https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md . Tests read both
with prometheus-client's parsers (docs/decisions/034-own-exposition.md says why we write them).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from router.core.wire.counts import GIVEN, MirrorCounts, RouteCounts, VersionCounts
from router.core.wire.histogram import BOUNDS_S, BUCKETS, EXPOSED_S
from router.core.wire.outcomes import Outcome
from router.core.wire.spans import ATTEMPT, RESCUE, Span
from router.loops import my_turn

SLICE_SERIES: Final = 200
"""Lines rendered before the loop is let go: well under a millisecond."""

CAUSES_MAX: Final = 64
"""Distinct causes of a drop or a refusal; they are constants of this program."""

CODE_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")

FAMILIES: Final[dict[str, tuple[str, str]]] = {
    "requests_total": ("counter", "Answers by status class."),
    "outcomes_total": ("counter", "Exchanges by the one way in which each ended."),
    "request_seconds": ("histogram", "Whole exchange with a version."),
    "time_to_first_byte_seconds": ("histogram", "Until the first byte of the answer's body."),
    "in_flight": ("gauge", "Requests under way."),
    "request_bytes_total": ("counter", "Body bytes sent to a version."),
    "response_bytes_total": ("counter", "Body bytes received from a version."),
    "rescues_total": ("counter", "Failed attempts that stable answered instead."),
    "retries_total": ("counter", "Second tries on the same version."),
    "mirror_total": ("counter", "Copies by result."),
    "mirror_dropped_total": ("counter", "Copies dropped before the shadow, by cause."),
    "pairs_total": ("counter", "Answers of mirrored requests by what comparing them said."),
    "judge_pairs_total": (
        "counter", "Pairs drawn for a judge, by the version that it called better, or why by none.",
    ),
    "samples_total": ("counter", "Sampled live requests by what reading their answer came to."),
    "shadow_undelivered_ratio": ("gauge", "Copies of the last minute that did not arrive, 0 to 1."),
    "shadow_agreement_ratio": ("gauge", "Compared pairs of the candidate that agreed, 0 to 1."),
    "shadow_score_distance": ("gauge", "Mean distance of the two scores of compared pairs."),
    "sticky_unread_total": (
        "counter", "Requests whose sticky key could not be read: a coin chose their version.",
    ),
    "sticky_cookies_dropped_total": (
        "counter", "Set-Cookie lines of versions that had the name of the router's sticky cookie."
    ),
    "tunnels": ("gauge", "WebSockets open."),
    "tunnels_ended_total": ("counter", "WebSockets that ended, by version and how."),
    "quota_refused_total": ("counter", "Requests answered 429: their client had used its quota."),
    "quota_forgotten_total": (
        "counter", "Clients that began anew, because there were more than can be remembered.",
    ),
    "inputs_refused_total": ("counter", "Requests answered 422 for what was in them."),
    "inputs_to_stable_total": ("counter", "Requests that went to stable for what was in them."),
    "inputs_to_review_total": ("counter", "Requests that people got for what was in them."),
    "answers_shaped_total": ("counter", "Answers that went out rounded, or without fields."),
    "answers_unshaped_total": ("counter", "Answers that answers: was for and could not be read."),
    "cache_hits_total": ("counter", "Requests answered by an answer that was given before."),
    "cache_waited_total": ("counter", "Requests that waited for the answer to another one."),
    "cache_misses_total": ("counter", "Requests that were asked, and whose answer could be kept."),
    "cache_passed_total": ("counter", "Requests whose answer is never kept."),
    "cache_evicted_total": ("counter", "Kept answers that went for want of room."),
    "table_hits_total": ("counter", "Requests and copies that a version's table answered."),
    "table_misses_total": ("counter", "Requests and copies of which a table has nothing."),
    "table_stale_total": ("counter", "Requests and copies to a table too old, or not there."),
    "fallbacks_total": ("counter", "Requests that the fallback answered."),
    "unnamed_total": (
        "counter", "Requests that stable answered: no model's name could be put into their body.",
    ),
    "rejected_total": ("counter", "Requests refused by the router itself, by cause."),
    "connections": ("gauge", "Open client connections by worker."),
    "loop_failures_total": ("counter", "Exceptions that cost a loop one item, by process."),
    "event_loop_lag_seconds": ("gauge", "Largest delay of a loop since the last report."),
    "weight_ratio": ("gauge", "Share of requests that a version is to get, 0 to 1."),
    "endpoint_up": (
        "gauge", "1 while every worker sends requests to an endpoint; 0: ejected, or not healthy.",
    ),
    "endpoint_in_flight": ("gauge", "Requests under way to an endpoint."),
    "rollout_phase": ("gauge", "1 for the phase a rollout is in."),
    "rollout_step": ("gauge", "Step of the rollout, counted from 1."),
    "rollout_revision": ("gauge", "Revision of the rollout; only grows."),
    "version_usage": (
        "gauge", "What a version says that it uses: memory, cpu, gpu, gpu_memory, queue.",
    ),
    "tokens_per_answer": ("gauge", "Tokens of an answer, sent and made, of the present attempt."),
    "token_cost_per_answer": ("gauge", "What they cost, in the currency of the prices."),
    "scrapes_total": ("counter", "Questions to versions what they use, by result."),
    "monitor_size": (
        "gauge", "How far a feature, label or score is off its reference: PSI, or a share of rows.",
    ),
    "monitor_alarms": ("gauge", "Changes of data or answers that last, by cause."),
    "evidence": ("gauge", "Evidence of a gate against the candidate, x : 1."),
    "evidence_limit": ("gauge", "Evidence at which a gate alone rolls back."),
    "router_bug_evidence": ("gauge", "Evidence that the split is not as weighted; alarm: 10,000."),
    "decisions_total": ("counter", "Transitions by action and by who decided."),
    "rollback_seconds": ("histogram", "From a bad answer's report to the table in every worker."),
    "feedback_total": ("counter", "Labels and rewards of predictions, by version and result."),
    "reviews_total": (
        "counter", "Questions for people, by version, why they were asked, and what came of them.",
    ),
    "reviews_open": ("gauge", "Questions that wait for people."),
    "reviews_claimed": ("gauge", "Those of them that somebody has claimed."),
    "reviews_oldest_seconds": ("gauge", "Age of the oldest question that waits for people."),
    "spans_total": ("counter", "Spans of requests by what became of them."),
    "messages_total": ("counter", "Hooks, alerts, registry updates, reviews by kind and result."),
    "workers": ("gauge", "Worker processes of this router that serve."),
    "worker_restarts_total": ("counter", "Workers that ended and were replaced."),
    "reader_restarts_total": ("counter", "Readers of answers that ended and were replaced."),
    "table_generation": ("gauge", "Routing table in force."),
    "leads": ("gauge", "1 where this router decides; 0: it follows another one."),
    "leader_heard": ("gauge", "1 while who follows hears that somebody leads."),
    "words_waiting": ("gauge", "What workers of who follows said and nobody was told yet."),
    "replicas": ("gauge", "Routers that serve by the tables of this one, itself among them."),
    "replicas_behind": ("gauge", "Those of them that serve by an older table than the newest."),
    "store_up": ("gauge", "1 while the last write reached the disk."),
    "frozen": ("gauge", "1 while every advance is stopped."),
    "config_last_reload_successful": ("gauge", "1 if the last reading of the policy was accepted."),
    "config_last_reload_success_timestamp_seconds": ("gauge", "When it last was."),
    "build_info": ("gauge", "Always 1; the version is a label."),
}  # fmt: skip
"""Every metric of the router, without its prefix ``rampway_``: type and help."""

_EXPOSED: Final = tuple(BOUNDS_S.index(bound) for bound in EXPOSED_S)
_LE: Final = tuple(f"{bound:g}" for bound in EXPOSED_S)

LabelPairs = tuple[tuple[str, str], ...]
Gauge = tuple[str, LabelPairs, float]
"""Name, labels and value of what is only looked up when somebody asks."""


def labels(**values: str) -> LabelPairs:
    """Label names and values, in the order given."""
    return tuple(values.items())


@dataclass(slots=True)
class _Histogram:
    counts: list[int]
    total_s: float = 0.0
    exemplars: dict[int, str] = field(default_factory=dict)
    """The last trace of each exposed bucket, as OpenMetrics writes it."""

    def add(self, sparse: Iterable[tuple[int, int]], total_s: float) -> None:
        for bucket, count in sparse:
            self.counts[bucket] += count
        self.total_s += total_s


class Metrics:
    """Counters that grow for as long as the process lives, and gauges given at each scrape."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[LabelPairs, float]] = {}
        self._histograms: dict[str, dict[LabelPairs, _Histogram]] = {}
        self._causes: set[str] = set()

    def __repr__(self) -> str:
        series = sum(map(len, self._counters.values())) + sum(map(len, self._histograms.values()))
        return f"<Metrics {series} series>"

    # --- adding up --------------------------------------------------------------------------------

    def count(self, name: str, series: LabelPairs, by: float = 1) -> None:
        """Add to a counter. KeyError for a name that is not in :data:`FAMILIES`."""
        assert FAMILIES[name][0] == "counter"  # noqa: S101 - a slip of this program
        known = self._counters.setdefault(name, {})
        known[series] = known.get(series, 0) + by

    def observe(self, name: str, series: LabelPairs, bucket: int, seconds: float) -> None:
        """Add one duration to a histogram; ``bucket`` is of :mod:`router.core.wire.histogram`."""
        self._histogram(name, series).add(((bucket, 1),), seconds)

    def exemplar(
        self, name: str, series: LabelPairs, seconds: float, trace: str, at: float
    ) -> None:
        """A trace in which a duration was met; ``at`` is when it ended, seconds since 1970."""
        known = self._histograms.get(name, {}).get(series)
        if known is not None:
            place = bisect_left(EXPOSED_S, seconds)
            known.exemplars[place] = f'# {{trace_id="{trace}"}} {seconds:.6g} {at:.3f}'

    def traced(self, spans: Iterable[Span]) -> None:
        """Book the traces of attempts."""
        for one in spans:
            if one.kind in (ATTEMPT, RESCUE):
                series = labels(route=one.route, version=one.version, role=one.role)
                self.exemplar("request_seconds", series, one.seconds, one.trace,
                              one.at + one.seconds)  # fmt: skip

    def add_versions(self, counts: Iterable[VersionCounts]) -> None:
        """Book what versions did since a worker's last report."""
        for one in counts:
            series = labels(route=one.route, version=one.version, role=one.role)
            for name, word, words, numbers in (
                ("requests_total", "code_class", CODE_CLASSES, one.classes),
                ("outcomes_total", "outcome", _OUTCOMES, one.outcomes),
            ):
                for value, number in zip(words, numbers, strict=False):
                    if number:
                        self.count(name, (*series, (word, value)), number)
            if one.latency:
                self._histogram("request_seconds", series).add(one.latency, one.latency_sum_s)
            if one.first_byte:
                self._histogram("time_to_first_byte_seconds", series).add(
                    one.first_byte, one.first_byte_sum_s
                )
            for name, number in (
                ("rescues_total", one.rescued),
                ("retries_total", one.retries),
                ("request_bytes_total", one.bytes_in),
                ("response_bytes_total", one.bytes_out),
                ("sticky_unread_total", one.unread_keys),
                ("sticky_cookies_dropped_total", one.own_cookies),
            ):
                if number:
                    self.count(name, series, number)
            for how, number in one.tunnel_ends.items():
                self.count("tunnels_ended_total", (*series, ("end", how)), number)

    def add_mirrors(self, counts: Iterable[MirrorCounts]) -> None:
        """Book what became of copies."""
        for one in counts:
            series = labels(route=one.route, version=one.version)
            for result, number in (("delivered", one.delivered), ("failed", one.failed)):
                if number:
                    self.count("mirror_total", (*series, ("result", result)), number)
            for cause, number in one.dropped.items():
                self.count("mirror_dropped_total", (*series, ("cause", self._cause(cause))), number)
                self.count("mirror_total", (*series, ("result", "dropped")), number)

    def add_routes(self, counts: Iterable[RouteCounts]) -> None:
        """Book what routes did by themselves."""
        for one in counts:
            for name, number in (
                ("quota_refused_total", one.quota_refused),
                ("quota_forgotten_total", one.quota_forgotten),
                ("inputs_refused_total", one.inputs_refused),
                ("inputs_to_stable_total", one.inputs_to_stable),
                ("inputs_to_review_total", one.inputs_to_review),
                ("answers_shaped_total", one.answers_shaped),
                ("answers_unshaped_total", one.answers_unshaped),
                ("fallbacks_total", one.fallbacks),
                ("cache_evicted_total", one.cache_evicted),
                ("unnamed_total", one.unnamed),
            ):
                if number:
                    self.count(name, labels(route=one.route), number)
            for given in one.given:
                series = labels(route=one.route, version=given.version)
                for name in GIVEN:
                    if number := getattr(given, name):
                        self.count(f"{name}_total", series, number)

    def add_rejected(self, causes: Mapping[str, int]) -> None:
        """Book requests that the router refused."""
        for cause, number in causes.items():
            self.count("rejected_total", labels(cause=self._cause(cause)), number)

    def keeping_only(self, versions: set[tuple[str, str]]) -> Iterator[Callable[[], None]]:
        """Forget the series of versions that left the policy; each family in a turn of its own."""
        families: list[dict[LabelPairs, Any]] = [
            *self._counters.values(), *self._histograms.values()
        ]  # fmt: skip
        return (partial(_forget_gone, family, versions) for family in families)

    def _cause(self, cause: str) -> str:
        if len(self._causes) < CAUSES_MAX:
            self._causes.add(cause)
        return cause if cause in self._causes else "other"

    def _histogram(self, name: str, series: LabelPairs) -> _Histogram:
        known = self._histograms.setdefault(name, {})
        if series not in known:
            known[series] = _Histogram([0] * BUCKETS)
        return known[series]

    # --- rendering --------------------------------------------------------------------------------

    async def render(
        self, gauges: Iterable[Iterable[Gauge]] = (), *, openmetrics: bool = False
    ) -> str:
        """The whole exposition. The loop is let go every :data:`SLICE_SERIES` lines.

        ``openmetrics``: in that format, with exemplars, without the ``# EOF`` behind it.
        ``gauges``: in parts, each of which is read in one turn, since what it is about may change.
        """
        by_name: dict[str, list[tuple[LabelPairs, float]]] = {}
        read = 0
        for part in gauges:
            for name, series, value in part:
                by_name.setdefault(name, []).append((series, value))
                read += 1
            if read >= SLICE_SERIES:
                read = 0
                await my_turn()
        text = ""
        lines = self._lines(by_name, openmetrics=openmetrics)
        while some := list(islice(lines, SLICE_SERIES)):
            some.append("")
            # Appending grows in place; one join of 9 MB (1,000 routes) would hold the loop 5 ms.
            text += "\n".join(some)
            await my_turn()
        return text

    def _lines(
        self, gauges: Mapping[str, list[tuple[LabelPairs, float]]], *, openmetrics: bool
    ) -> Iterator[str]:
        for name, (kind, text) in FAMILIES.items():
            known = self._histograms if kind == "histogram" else self._counters
            if name not in known and name not in gauges:
                continue
            family = name.removesuffix("_total") if openmetrics and kind == "counter" else name
            yield f"# HELP rampway_{family} {text}"
            yield f"# TYPE rampway_{family} {kind}"
            for series, value in (
                *gauges.get(name, ()),
                *list(self._counters.get(name, {}).items()),
            ):
                yield f"rampway_{name}{_text(series)} {value:.17g}"
            for series, histogram in list(self._histograms.get(name, {}).items()):
                yield from _buckets(name, series, histogram, openmetrics=openmetrics)


_OUTCOMES: Final = tuple(outcome.name.lower() for outcome in Outcome)


def _forget_gone(family: dict[LabelPairs, Any], versions: set[tuple[str, str]]) -> None:
    for series in [s for s in family if _gone(s, versions)]:
        del family[series]


def _gone(series: LabelPairs, versions: set[tuple[str, str]]) -> bool:
    values = dict(series)
    if "version" not in values:
        return False
    return (values.get("route", ""), values["version"]) not in versions


def _buckets(
    name: str, series: LabelPairs, histogram: _Histogram, *, openmetrics: bool
) -> Iterator[str]:
    inner = _inner(series)
    comma = "," if inner else ""
    counts = list(histogram.counts)
    seen = done = 0
    seen_in = histogram.exemplars if openmetrics else {}
    for place, (index, le) in enumerate(zip(_EXPOSED, _LE, strict=True)):
        seen += sum(counts[done : index + 1])
        done = index + 1
        trace = f" {seen_in[place]}" if place in seen_in else ""
        yield f'rampway_{name}_bucket{{{inner}{comma}le="{le}"}} {seen}{trace}'
    total = sum(counts)
    trace = f" {seen_in[len(_LE)]}" if len(_LE) in seen_in else ""
    yield f'rampway_{name}_bucket{{{inner}{comma}le="+Inf"}} {total}{trace}'
    yield f"rampway_{name}_sum{_text(series)} {histogram.total_s:.9g}"
    yield f"rampway_{name}_count{_text(series)} {total}"


def _text(series: LabelPairs) -> str:
    return f"{{{_inner(series)}}}" if series else ""


def _inner(series: LabelPairs) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in series)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
