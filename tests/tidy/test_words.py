"""Sentences that readers had to read twice do not come back."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")]
PROSE = {page: " ".join(page.read_text().split()) for page in PAGES if page.name != "CHANGELOG.md"}

RIDDLES = (
    "as a service does that calls another",
    "for whoever is awake",
    "is checked with --rate 50/s only",
    "known coins",
    "late is not never",
    "takes a good edit over",
    "takes over by itself",
    "what they say, nothing",
    "with exactly one reading, written anew",
)
"""Each was found by a reader who stumbled; CONTRIBUTING.md says how to write instead."""


@pytest.mark.parametrize("riddle", RIDDLES)
def test_no_page_has_a_riddle(riddle):
    assert [page.name for page, text in PROSE.items() if riddle in text.lower()] == []
