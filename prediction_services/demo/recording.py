"""What was seen during the play, as plain values: the report and the checks read nothing else."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate at one moment.

    Attributes:
        name: as in the policy.
        verdict: pass, pending, inconclusive, error or fail.
        evidence: against the candidate, x : 1.
        limit: evidence at which this gate alone rolls back; None where it does not bet.
        bad, total: the candidate's outcomes as the gate counts them.
        sentence: what the router says about it.
    """

    name: str
    verdict: str = "pending"
    evidence: float = 1.0
    limit: float | None = None
    bad: int = 0
    total: int = 0
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """The rollout at one moment. Times are seconds since the play began, shares basis points.

    Attributes:
        evidence: all gates together, x : 1.
        limit: evidence at which the candidate is rolled back.
        remaining_s: of the present hold or bake.
        samples, until_samples: judged in this step, and needed to leave it.
    """

    at_s: float
    stable: str
    candidate: str = ""
    phase: str = ""
    step: int = 0
    steps: int = 0
    weight_bp: int = 0
    mirror_bp: int = 0
    evidence: float = 1.0
    limit: float = 100.0
    remaining_s: float = 0.0
    samples: int = 0
    until_samples: int = 0
    gates: tuple[Gate, ...] = ()

    def gate(self, name: str) -> Gate | None:
        """The gate of that name, if the rollout has it."""
        return next((gate for gate in self.gates if gate.name == name), None)


@dataclass(frozen=True, slots=True)
class Served:
    """What clients got from one version within one `BIN_S`.

    Attributes:
        at_s: begin of the bin.
        version: as the answer names it; empty where there was no complete answer.
        answers: complete ones.
        bad: requests that brought no good prediction.
        p50_ms, p95_ms: of the complete answers.
    """

    at_s: float
    version: str
    answers: int
    bad: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Attempts:
    """What the router saw of one version between two scrapes of its metrics.

    Attributes:
        at_s: of the later scrape.
        role: stable, candidate or shadow.
        requests: attempts, also those that stable rescued.
        bad: of them; statuses of 500 and more, timeouts, lost connections.
        p50_ms, p95_ms: None where nothing was observed.
    """

    at_s: float
    version: str
    role: str
    requests: int
    bad: int
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that a person (here: the play) did or that a new act began.

    Attributes:
        kind: act, edit, fault, command or machine (something about where it runs).
        text: one line.
        policy: the file after an edit, else empty.
    """

    at_s: float
    kind: str
    text: str
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry of the router; `at_s` since the play began, the rest as it was told."""

    at_s: float
    id: int
    rollout: str
    actor: str
    action: str
    phase_to: str
    step: int
    weight_bp: int
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def report(self, gate: str) -> Gate | None:
        """What the named gate said when this was decided."""
        reports = self.evidence.get("reports", ())
        return next((read_gate(r) for r in reports if r.get("gate") == gate), None)

    @property
    def verdict(self) -> Gate | None:
        """The gate that failed, if one did."""
        reports = self.evidence.get("reports", ())
        return next((read_gate(r) for r in reports if r.get("verdict") == "fail"), None)


@dataclass(frozen=True, slots=True)
class Command:
    """An order given through the admin API.

    Attributes:
        took_ms: as the client measured it: request sent to answer received, which the router
            gives once the order is durable and in force in every worker.
        router_ms: as the router measured it.
    """

    at_s: float
    verb: str
    reason: str
    took_ms: float
    router_ms: float
    phase: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Act:
    """One part of the play and how it ended."""

    number: int
    title: str
    candidate: str
    begins_s: float
    ends_s: float
    strategy: str = "canary"


SCRAPE_S = 1.0
"""Between two scrapes of the router's metrics."""

BIN_S = 0.5
"""Width of the bins in which clients' answers are counted."""


@dataclass(slots=True)
class Recording:
    """One whole run.

    Attributes:
        started: wall clock of the play's begin, seconds since 1970.
        load: the load generator's own report.
        last_sent_s: by version, when the last request left that this version answered.
        versions: summaries by name, in order of appearance.
    """

    started: float
    rate_per_s: float
    seed: int
    versions: dict[str, str] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    attempts: list[Attempts] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    last_sent_s: dict[str, float] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)
    ends_s: float = 0.0

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, path: Path) -> "Recording":
        """Read what `save` wrote. Raises msgspec.ValidationError on anything else."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def rollout_entries(self, candidate: str) -> list[Entry]:
        """Journal entries of the rollouts in which `candidate` was on trial, oldest first."""
        begun = {
            entry.rollout
            for entry in self.journal
            if entry.action == "start" and f"rollout of {candidate} beside" in entry.reason
        }
        return [entry for entry in self.journal if entry.rollout in begun]

    def ending(self, candidate: str, phase: str) -> Entry | None:
        """The entry with which the candidate's rollout reached a phase."""
        return next((e for e in self.rollout_entries(candidate) if e.phase_to == phase), None)

    def answers(self, version: str, since_s: float = 0.0, until_s: float = float("inf")) -> int:
        """Complete answers that clients got from a version in bins that begin in a time span."""
        return sum(
            bin_.answers
            for bin_ in self.served
            if bin_.version == version and since_s <= bin_.at_s < until_s
        )


def read_gate(report: dict[str, Any]) -> Gate:
    """A gate's report as the router's API and journal write it."""
    counts = report.get("candidate") or {}
    return Gate(
        name=str(report["gate"]),
        verdict=str(report.get("verdict", "pending")),
        evidence=float(report.get("evidence") or 1.0),
        limit=report.get("limit"),
        bad=int(counts.get("bad", 0)),
        total=int(counts.get("total", 0)),
        sentence=str(report.get("sentence", "")),
    )
