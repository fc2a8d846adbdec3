"""What the command line says of a gate, beside the sentence that core made."""

import pytest

from router.cli.show import gate_lines, left
from router.core.words import odds


def test_evidence_is_worded_as_in_the_sentence():
    """One rule: beyond a million nobody counts."""
    evidence = 5_000_000.0
    sentence = f"evidence {odds(evidence)}"
    gate = {"gate": "error_rate", "verdict": "fail", "evidence": evidence, "limit": 100.0,
            "sentence": sentence}  # fmt: skip
    first, *_, last = gate_lines([gate])
    assert "evidence over 1,000,000 : 1, limit 100 : 1" in first
    assert last.strip() == sentence


@pytest.mark.parametrize("phase", ["completed", "aborted", "rolled_back", "progressing"])
def test_what_has_ended_waits_for_nothing(phase):
    waits = left({"phase": phase, "samples": 61, "until_samples": 400, "remaining_s": 0})
    assert waits == ("339 more samples" if phase == "progressing" else "")
