"""What the command line says of a gate, beside the sentence that core made."""

import pytest

from router.cli.show import gate_lines, left, risks, through, told
from router.core.words import odds
from tests.cli.told import gate, rollout


def test_evidence_is_worded_as_in_the_sentence():
    """One rule: beyond a million nobody counts; and each figure stands once."""
    evidence = 5_000_000.0
    sentence = f"evidence {odds(evidence)}"
    found = {"verdict": "fail", "evidence": evidence, "limit": 100.0}
    lines = gate_lines([gate(**found, sentence=sentence)])
    assert [line.strip() for line in lines] == ["error_rate: fail", sentence]
    arms = {"candidate": {"bad": 4, "total": 57}, "stable": {"bad": 1, "total": 99}}
    lines = gate_lines([gate(**found, **arms, sentence="failed: candidate 4 of 57 (7.0 %)")])
    assert [line.strip() for line in lines] == [
        "error_rate: fail  evidence over 1,000,000 : 1, limit 100 : 1",
        "stable 1 of 99 (1.0 %)",
        "failed: candidate 4 of 57 (7.0 %)",
    ]


@pytest.mark.parametrize("phase", ["completed", "aborted", "rolled_back", "progressing"])
def test_what_has_ended_waits_for_nothing(phase):
    waits = left(rollout(phase=phase, samples=61, until_samples=400, remaining_s=0))
    assert waits == ("339 more samples" if phase == "progressing" else "")


def test_a_gate_that_has_not_had_its_sample_says_so_before_anything_else():
    lacks = "guard has 4 of 55 answers"
    for verdict, missing, said in (
        ("pass", lacks, "not enough yet"), ("fail", lacks, "fail"), ("pass", "", "pass"),
    ):  # fmt: skip
        one = gate(gate="guard", verdict=verdict, lacks=missing)
        assert gate_lines([one])[0].strip() == f"guard: {said}"


def test_the_line_has_its_time():
    assert told(rollout(line="v2 is stable", decided_at=None)) == "v2 is stable"
    line = told(rollout(line="v2 is stable", decided_at=1_001.0))
    assert line.startswith("v2 is stable (1970-")


def test_get_says_when_it_is_through_and_what_passes():
    status = rollout(through_at=1_001.0, risks=["a slower candidate passes"])
    assert through(status)[0].startswith("  through by 1970-01-01")
    assert risks(status) == ["", "what passes unseen", "  a slower candidate passes"]
    plain = rollout(through_at=None, risks=[])
    assert through(plain) == risks(plain) == []
