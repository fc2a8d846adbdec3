"""What the judge said, as the journal keeps it and people see it."""

from __future__ import annotations

import math

from router.control.told.answers import JudgementView, ReportView
from router.control.told.views import CountsView
from router.core.gates.verdict import Counts, GateReport
from router.core.judgement import Judgement


def judged(said: Judgement, *, samples: int = 0, line: str = "") -> JudgementView:
    """``samples``: of the step, where a decision was made; ``line``: what a person would say."""
    return JudgementView(
        action=said.action.value, sentence=said.sentence, capital=said.capital, limit=said.limit,
        proven=said.proven, auto_weight_bp=said.auto_weight_bp,
        reports=[report_view(one) for one in said.reports], samples=samples, line=line,
    )  # fmt: skip


def report_view(one: GateReport) -> ReportView:
    """An infinite limit is None, since JSON has no infinity."""
    return ReportView(
        gate=one.gate, verdict=one.verdict.word, sentence=one.sentence, evidence=one.evidence,
        limit=one.limit if math.isfinite(one.limit) else None,
        candidate=counts_view(one.candidate), stable=counts_view(one.stable), dry_run=one.dry_run,
    )  # fmt: skip


def counts_view(counts: Counts) -> CountsView:
    """Bad ones of all."""
    return CountsView(bad=counts.bad, total=counts.total)
