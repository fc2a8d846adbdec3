"""Counts of what clients saw, with latency quantiles from a histogram of fixed relative error."""

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from prediction_services.wire import LATE_SCORE

if TYPE_CHECKING:
    from prediction_services.load.generator import Answer

_FLOOR_S = 1e-5
_LOG_GROWTH = math.log(1.02)
"""Buckets grow by 2 %, so a quantile is right within 1 % (the idea of DDSketch, VLDB 2019)."""

QUANTILES = (0.5, 0.9, 0.95, 0.99)


class Latencies:
    """A histogram of seconds. Bounded: 10 microseconds to 100 s are 815 buckets."""

    def __init__(self) -> None:
        self.count = 0
        self.max_s = 0.0
        self._buckets: Counter[int] = Counter()

    def record(self, latency_s: float) -> None:
        """Count one latency, in seconds."""
        self.count += 1
        self.max_s = max(self.max_s, latency_s)
        self._buckets[int(math.log(max(latency_s, _FLOOR_S) / _FLOOR_S) / _LOG_GROWTH)] += 1

    def quantile_s(self, share: float) -> float:
        """The latency that `share` (0 to 1) of the recorded ones do not exceed; NaN when empty."""
        rank = max(1, math.ceil(share * self.count))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return min(_FLOOR_S * math.exp((bucket + 0.5) * _LOG_GROWTH), self.max_s)
        return math.nan

    def as_dict(self) -> dict[str, float]:
        """Milliseconds by the names `p50` … `p99` and `max`; empty when nothing was recorded."""
        if not self.count:
            return {}
        named = {f"p{share * 100:g}": self.quantile_s(share) for share in QUANTILES}
        return {name: round(s * 1000, 3) for name, s in (*named.items(), ("max", self.max_s))}


class Tally:
    """What clients saw, over a whole run or one second of it.

    Attributes:
        sent: requests that left, or tried to.
        codes: answers by status; complete ones only.
        versions: complete answers by the version that gave them: the router's
            `X-Rampway-Version`, or `model_version` when there is no such header.
        transport_errors: requests without a complete answer, by kind: connect, reset, truncated,
            timeout.
        malformed: answers of status 200 that are not what was asked for, by what is wrong.
        not_sent: arrivals given up because too many requests were open.
        latencies: of complete answers, whatever their status.
        version_latencies: the same by version.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.good = 0
        self.late_scores = 0
        self.not_sent = 0
        self.codes: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()
        self.transport_errors: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self.latencies = Latencies()
        self.version_latencies: dict[str, Latencies] = {}

    @property
    def answered(self) -> int:
        """Complete answers, whatever their status."""
        return self.codes.total()

    @property
    def server_errors(self) -> int:
        """Answers with a status of 500 or more."""
        return sum(count for code, count in self.codes.items() if code >= 500)

    @property
    def bad(self) -> int:
        """What a client must call a failure: anything sent that brought no good prediction."""
        return self.sent - self.good

    @property
    def classes(self) -> dict[str, int]:
        """Complete answers by class of status: `2xx`, `4xx`, `5xx`."""
        classes: Counter[str] = Counter()
        for code, count in self.codes.items():
            classes[f"{code // 100}xx"] += count
        return dict(sorted(classes.items()))

    def record(self, answer: "Answer") -> None:
        """Count the end of one request."""
        self.sent += 1
        self.good += answer.good
        if answer.status is None:
            self.transport_errors[answer.problem or "unknown"] += 1
            return
        self.codes[answer.status] += 1
        if answer.problem is not None:
            self.malformed[answer.problem] += 1
        self.late_scores += answer.score is not None and answer.score >= LATE_SCORE
        self.latencies.record(answer.latency_s)
        if answer.version is not None:
            self.versions[answer.version] += 1
            self.version_latencies.setdefault(answer.version, Latencies()).record(answer.latency_s)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; latencies in milliseconds."""
        return {
            "sent": self.sent,
            "answered": self.answered,
            "good": self.good,
            "bad": self.bad,
            "not_sent": self.not_sent,
            "status": self.classes,
            "codes": {str(code): count for code, count in sorted(self.codes.items())},
            "versions": dict(sorted(self.versions.items())),
            "transport_errors": dict(self.transport_errors),
            "malformed": dict(self.malformed),
            "late_share": round(self.late_scores / self.good, 4) if self.good else None,
            "latency_ms": self.latencies.as_dict(),
            "latency_ms_by_version": {
                version: latencies.as_dict()
                for version, latencies in sorted(self.version_latencies.items())
            },
        }
