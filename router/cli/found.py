"""What judging outside of a router has found, for machines: of a log, or of a version scored."""

from __future__ import annotations

from typing import Final

from router.control.told.answers import ReportView
from router.control.told.compared import ShadowView
from router.control.told.judgement import judged
from router.control.told.view import View
from router.core.judgement import Judgement
from router.simulation.judge_log import LogVerdict

VALUES: Final = {"pass": 1, "fail": -1, "pending": 0}


class FoundView(View, frozen=True, kw_only=True):
    """A verdict; tools that read one number take ``value``."""

    verdict: str
    """pass | pending | fail."""
    value: int
    """1, 0, -1."""
    sentence: str
    evidence: float
    """All gates together against the candidate, ``x : 1``."""
    limit: float
    gates: list[ReportView]


class LogFoundView(FoundView, frozen=True, kw_only=True):
    """Of an access log."""

    requests: dict[str, int]
    """Lines by version."""
    skipped: int
    at: float | None
    """Time of the request that convicted, seconds since 1970."""


class ScoreFoundView(FoundView, frozen=True, kw_only=True):
    """Of recorded requests that were sent to a version."""

    route: str
    version: str
    stable: str
    log: str
    sent: int
    passed_over: int
    """That mirroring does not copy."""
    resumed: bool
    interrupted: bool
    shadow: ShadowView


def gates_of(said: Judgement) -> list[ReportView]:
    """One report a gate."""
    return judged(said).reports


def log_found(found: LogVerdict) -> LogFoundView:
    """See :class:`LogFoundView`."""
    said = found.judgement
    return LogFoundView(
        verdict=found.verdict, value=VALUES[found.verdict], sentence=found.sentence,
        evidence=said.capital, limit=said.limit, gates=gates_of(said), requests=found.requests,
        skipped=found.skipped, at=found.at_s,
    )  # fmt: skip
