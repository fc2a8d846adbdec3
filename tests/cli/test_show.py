"""What the command line says of a gate, beside the sentence that core made."""

import pytest

from router.cli.show import gate_lines, left
from router.core.words import odds


def test_evidence_is_worded_as_in_the_sentence():
    """One rule: beyond a million nobody counts; and each figure stands once."""
    evidence = 5_000_000.0
    sentence = f"evidence {odds(evidence)}"
    gate = {"gate": "error_rate", "verdict": "fail", "evidence": evidence, "limit": 100.0,
            "sentence": sentence}  # fmt: skip
    assert [line.strip() for line in gate_lines([gate])] == ["error_rate: fail", sentence]
    gate["sentence"] = "failed: candidate 4 of 57 (7.0 %)"
    gate["candidate"], gate["stable"] = {"bad": 4, "total": 57}, {"bad": 1, "total": 99}
    assert [line.strip() for line in gate_lines([gate])] == [
        "error_rate: fail  evidence over 1,000,000 : 1, limit 100 : 1",
        "stable 1 of 99 (1.0 %)",
        "failed: candidate 4 of 57 (7.0 %)",
    ]


@pytest.mark.parametrize("phase", ["completed", "aborted", "rolled_back", "progressing"])
def test_what_has_ended_waits_for_nothing(phase):
    waits = left({"phase": phase, "samples": 61, "until_samples": 400, "remaining_s": 0})
    assert waits == ("339 more samples" if phase == "progressing" else "")
