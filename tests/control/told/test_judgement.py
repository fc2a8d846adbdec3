"""What the judge said, as people see it."""

import json
import math

import msgspec

from router.control.told.judgement import report_view
from router.core.gates.verdict import GateReport, Verdict


def test_json_has_no_infinity():
    said = report_view(GateReport("g", Verdict.PASS, "s", limit=math.inf))
    assert json.loads(msgspec.json.encode(said))["limit"] is None
    assert report_view(GateReport("g", Verdict.PASS, "s", limit=9.0)).limit == 9.0
