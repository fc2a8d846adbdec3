"""What single requests leave: lines of the access log, spans, and the lines of their trace."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime

import pytest

from router.core.wire.spans import SPANS_MAX, AccessTerms, TraceTerms
from router.core.wire.table import Mirror
from router.proxy.access_log import AccessLog, _safe
from router.simulation.access_log import read_lines
from tests.proxy.rig import RESCUE, Rig, request, rollout
from tests.proxy.scripted import OK, Scripted, answers

TRACE_ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = (f"00-{TRACE_ID}-{PARENT}-{flags}" for flags in ("01", "00"))
BROKEN = b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno"


def heard(backend):
    """The traceparent of each request that a version got."""
    return [(one.get(b"traceparent") or b"").decode() for one in backend.requests]


async def asked(rig, *parents, **fields):
    for parent in parents:
        headers = [f"traceparent: {parent}", "tracestate: a=b"] if parent else []
        assert (await rig.ask(request(headers=headers, **fields))).status == 200
    await rig.settled()


async def test_without_a_tracer_a_trace_is_passed_on_as_it_is_and_none_is_invented():
    bad = "00-" + "0" * 32 + f"-{PARENT}-01"
    async with Scripted(answers(OK)) as one, Rig(rollout(one, one, 0)) as rig:
        await asked(rig, SAMPLED, UNSAMPLED, "", bad)
    assert heard(one) == [SAMPLED, UNSAMPLED, "", ""]


@pytest.mark.parametrize("share_bp", [0, 10_000])
async def test_a_trace_is_followed_and_begun_as_the_policy_says(share_bp):
    terms = TraceTerms(share_bp, exported=True)
    async with Scripted(answers(OK)) as one, Rig(rollout(one, one, 0), traces=terms) as rig:
        await asked(rig, SAMPLED, UNSAMPLED, "", path="/p?secret=1")
        spans, dropped = rig.plane.tracer.take()
    followed, passed, begun = heard(one)
    assert followed[:36] == SAMPLED[:36]
    assert followed[36:52] != PARENT
    assert followed.endswith("-01")
    assert passed == UNSAMPLED
    assert bool(begun) == bool(share_bp)
    assert (len(spans), dropped) == (4 if share_bp else 2, 0)
    attempt, router = spans[:2]
    assert (router.kind, router.trace, router.parent) == ("router", TRACE_ID, PARENT)
    assert (attempt.kind, attempt.parent, attempt.id) == ("attempt", router.id, followed[36:52])
    assert (attempt.route, attempt.version, attempt.status, attempt.outcome) == (
        "r", "v1", 200, "ok",
    )  # fmt: skip
    assert (router.path, router.client, attempt.bad) == ("/p", "127.0.0.1", False)
    assert router.at <= attempt.at + 0.001
    assert router.seconds >= attempt.seconds - 0.001


async def test_a_rescue_and_a_copy_are_spans_of_their_own():
    terms = TraceTerms(0, exported=True)
    fields = {"rescue": RESCUE, "mirrors": (Mirror(0, 10_000),)}
    async with Scripted(answers(OK)) as v1, Scripted(answers(BROKEN)) as v2:
        async with Rig(rollout(v1, v2, 10_000, **fields), traces=terms) as rig:
            await asked(rig, SAMPLED, body=b"{}")
            spans, _ = rig.plane.tracer.take()
        kinds = {span.kind: span for span in spans}
        assert set(kinds) >= {"router", "attempt", "rescue"}
        assert [kinds[k].version for k in ("attempt", "rescue")] == ["v2", "v1"]
        assert (kinds["attempt"].status, kinds["rescue"].status) == (500, 200)
        told = set(heard(v1) + heard(v2))
        assert {span.id for span in spans if span.kind != "router"} == {t[36:52] for t in told}
        assert {span.parent for span in spans if span.kind != "router"} == {kinds["router"].id}
    mirrored = {"mirrors": (Mirror(1, 10_000),)}
    async with (
        Scripted(answers(OK)) as v1, Scripted(answers(OK)) as v2,
        Rig(rollout(v1, v2, 0, **mirrored), traces=terms) as rig,
    ):  # fmt: skip
        await asked(rig, SAMPLED, body=b"{}")
        spans, _ = rig.plane.tracer.take()
    (copy,) = (span for span in spans if span.kind == "shadow")
    (router,) = (span for span in spans if span.kind == "router")
    assert (copy.parent, copy.trace, copy.version) == (router.id, TRACE_ID, "v2")
    assert heard(v2) == [f"00-{TRACE_ID}-{copy.id}-01"]


async def test_without_a_collector_traces_of_clients_are_known_and_passed_on():
    terms = TraceTerms(10_000, exported=False)
    async with Scripted(answers(OK)) as one, Rig(rollout(one, one, 0), traces=terms) as rig:
        await asked(rig, SAMPLED, UNSAMPLED, "")
        spans, _ = rig.plane.tracer.take()
    assert heard(one) == [SAMPLED, UNSAMPLED, ""]
    assert {span.trace for span in spans} == {TRACE_ID}


async def test_spans_that_find_no_room_are_counted():
    terms = TraceTerms(10_000, exported=True)
    async with Scripted(answers(OK)) as one, Rig(rollout(one, one, 0), traces=terms) as rig:
        await asked(rig, "")
        (span, *_), _ = rig.plane.tracer.take()
        for _ in range(SPANS_MAX + 3):
            rig.plane.tracer.put(span)
        spans, dropped = rig.plane.tracer.take()
        assert (len(spans), dropped) == (SPANS_MAX, 3)
        assert rig.plane.tracer.take() == ((), 0)


# --- the access log -------------------------------------------------------------------------------


async def logged(terms, *targets, backend=OK, parent=""):
    """The lines that requests for these paths leave."""
    reading, writing = os.pipe()
    async with Scripted(answers(backend)) as one, Rig(rollout(one, one, 0)) as rig:
        rig.plane.access_log = AccessLog(terms, writing)
        for target in targets:
            headers = [f"traceparent: {parent}"] if parent else []
            await rig.ask(request(path=target, headers=headers))
        await rig.settled()
        rig.plane.access_log.flush()
        rig.plane.access_log = None
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode("latin-1").splitlines()


async def test_a_line_of_json_says_who_where_how_much_and_in_which_trace():
    (line,) = await logged(AccessTerms(), "/p?key=secret", parent=SAMPLED)
    told = json.loads(line)
    assert "secret" not in line
    assert told["client"] == "127.0.0.1"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", told["endpoint"])
    assert (told["bytes"], told["trace"], told["status"]) == (2, TRACE_ID, 200)
    assert datetime.fromisoformat(told["timestamp"]).utcoffset().total_seconds() == 0
    ((read,), skipped) = list(read_lines([line])), 0
    assert (read.status, read.version, skipped) == (200, "v1", 0)


async def test_a_line_in_the_common_format_is_read_by_everybody_and_commands_nobody():
    (line,) = await logged(AccessTerms(common=True), "/p'x%0a", parent=SAMPLED)
    common = re.fullmatch(
        r'(\S+) - - \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "POST (\S+) HTTP/1\.1" 200 2 (.*)',
        line,
    )
    assert common, line
    assert common[1] == "127.0.0.1"
    assert common[3] == "/p'x%0a"
    assert _safe('a"b\\c d\n\xff') == r"a\x22b\x5cc\x20d\x0a\xff"
    pairs = dict(pair.split("=", 1) for pair in common[4].split())
    assert (pairs["route"], pairs["version"], pairs["trace"]) == ("r", "v1", TRACE_ID)
    (read,) = read_lines([line])
    assert (read.status, read.version, read.outcome) == (200, "v1", "ok")


async def test_a_share_of_what_ended_well_is_written_and_every_failure():
    none = AccessTerms(share_bp=0)
    assert await logged(none, *["/p"] * 20) == []
    assert len(await logged(none, *["/p"] * 5, backend=BROKEN)) == 5
    assert 20 < len(await logged(AccessTerms(share_bp=5_000), *["/p"] * 120)) < 100
