"""Expressions of a policy: linear, or refused where they are written."""

from __future__ import annotations

import time

import pytest

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.expressions import whole


@pytest.mark.parametrize(
    ("expression", "text", "matches"),
    [
        ("acme|umbrella", "acme", True),
        ("acme", "acme ltd", False),
        ("(?i)ACME-[0-9]{3}", "acme-007", True),
        ("é+", "éé", True),
        (r"\d+", "٣", False),
        ("a.c", "a\nc", False),
        ("^a$", "a", True),
    ],
)
def test_the_whole_text_is_matched(expression, text, matches):
    assert whole(expression)(text) is matches


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("([a-z]+)+-x", "a" * 4_096),
        ("(.*)-(.*)-(.*)x", "-" * 4_096),
        ("(a|a)*b", "a" * 4_096),
        ("(x+x+)+y", "x" * 4_096),
        ("(.?){50}.{50}z", "x" * 4_096),
    ],
)
def test_what_hangs_a_backtracking_matcher_ends(expression, text):
    began = time.process_time()
    assert whole(expression)(text) is False
    assert time.process_time() - began < 10, "seconds, not hours"


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(?=a)b", "invalid perl operator"),
        (r"(a)\1", "invalid escape sequence"),
        ("(?<!x)y", "invalid perl operator"),
        ("a*+", "bad repetition"),
        ("(unclosed", "missing"),
        ("((x{100}){100})", "repetition"),
        (r"\pL{900}", "too large"),
    ],
)
def test_what_cannot_be_run_so_is_refused_with_its_place(expression, why):
    policy = f"""routes:
  - name: r
    match:
      headers:
        X-Tenant: {{regex: '{expression}'}}
    versions: {{v1: {{endpoints: [http://127.0.0.1:9001]}}}}
    stable: v1
"""
    with pytest.raises(PolicyError) as caught:
        loads(policy)
    (problem,) = caught.value.problems
    assert problem.mark.line == 5
    assert "expected an expression that RE2 can run" in problem.message
    assert why in problem.message
