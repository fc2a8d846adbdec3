"""How numbers read to people, the same in every sentence, table and page."""

from __future__ import annotations

FULL_BP = 10_000
"""Basis points in a whole: 10 000 = 100 %."""


def percent(weight_bp: int) -> str:
    """Basis points as a share: 2500 -> ``25 %``, 5 -> ``0.05 %``."""
    return f"{weight_bp / 100:g} %"


def rate(share: float) -> str:
    """A measured share 0..1 with what matters of it: 0.07 -> ``7.0 %``, 0.00042 -> ``0.042 %``."""
    value = share * 100
    if value == 0 or value >= 100:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 1 else f"{value:.2g} %"


def duration(seconds: float) -> str:
    """Seconds as a policy writes them: 0.25 -> ``250ms``, 90 -> ``1m30s``, 7200 -> ``2h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    whole = round(seconds)
    parts = ((whole // 86_400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"),
             (whole % 60, "s"))  # fmt: skip
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def count(number: int, noun: str) -> str:
    """``1 request``, ``1,204 requests``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def odds(evidence: float) -> str:
    """Evidence as people read it: 0.5 -> ``0.5 : 1``, 143.2 -> ``143 : 1``, capped at a million."""
    if evidence > 1_000_000:
        return "over 1,000,000 : 1"
    return f"{evidence:,.0f} : 1" if evidence >= 10 else f"{evidence:.2g} : 1"
