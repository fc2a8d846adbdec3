"""What the command line says of a gate, beside the sentence that core made."""

from router.cli.show import gate_lines
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
