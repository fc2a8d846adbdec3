"""What the command line says of a gate, beside the sentence that core made."""

import pytest

from router.cli.show import gate_lines, left, risks, through, told
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


def test_a_gate_that_has_not_had_its_sample_says_so_before_anything_else():
    gate = {
        "gate": "guard",
        "verdict": "pass",
        "sentence": "s",
        "lacks": "guard has 4 of 55 answers",
    }
    assert gate_lines([gate])[0].strip() == "guard: not enough yet"
    assert gate_lines([gate | {"verdict": "fail"}])[0].strip() == "guard: fail"
    assert gate_lines([gate | {"lacks": ""}])[0].strip() == "guard: pass"


def test_the_line_has_its_time():
    assert told({"line": "v2 is stable", "decided_at": 0.0}) == "v2 is stable"
    assert told({"line": "v2 is stable", "decided_at": 1_001.0}).startswith("v2 is stable (1970-")


def test_get_says_when_it_is_through_and_what_passes():
    status = {"through_at": 1_001.0, "risks": ["a slower candidate passes"]}
    assert through(status)[0].startswith("  through by 1970-01-01")
    assert risks(status) == ["", "what passes unseen", "  a slower candidate passes"]
    assert through({}) == risks({"risks": []}) == []
