"""No gate without an example in configs/, a fault that it catches and a live test of it."""

import re
from pathlib import Path

import pytest

from prediction_services.faults import Faults
from router.core.gates import GATES
from router.core.gates.needs import Need
from tests.live.gates import CASES, ELSEWHERE

ROOT = Path(__file__).resolve().parents[2]
LABELLED = {name for name, gate in GATES.items() if gate.needs & {Need.LABELS, Need.TRUTHS}}
"""Their segments are tests/log's matter, where labels are."""
SEGMENTED = [
    name for name, gate in GATES.items() if "by" in gate.model_fields and name not in LABELLED
]


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_played_live_against_a_fault(name):
    if name in ELSEWHERE:
        module, fault = ELSEWHERE[name]
        text = (ROOT / "tests" / module).read_text()
        assert f"{name}: {{" in text
        assert fault in text
        return
    cases = [case for case in CASES.values() if case.kind == name]
    assert cases, f"a line in tests/live/gates.py shows what {name} catches"
    for case in cases:
        assert case.faults or case.truth or case.outside, "something has to be wrong"
        Faults.model_validate(case.faults)  # the services have it


@pytest.mark.parametrize("name", GATES)
def test_every_gate_stands_in_an_example(name):
    texts = [path.read_text() for path in (ROOT / "configs").glob("*.yaml")]
    assert [
        text
        for text in texts
        if re.search(rf"^\s+- {name}\b|[\[{{ ]{name}[,:\]]", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("name", SEGMENTED)
def test_what_asks_of_segments_is_played_with_one_that_is_wrong(name):
    cases = [case for case in CASES.values() if case.kind == name and "by: {" in case.gate]
    assert [case for case in cases if "header" in case.gate and "FL" in case.says], name
    assert [case for case in cases if "feature" in case.gate and "FL" in case.says], name
