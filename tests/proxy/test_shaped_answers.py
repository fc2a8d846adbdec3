"""Refused inputs, answers that say less, fallbacks: on the wire, and whose fault it is."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from router.core.wire.protection import AnswersEntry, FallbackEntry, InputsEntry, QuotaEntry
from router.core.wire.table import MatchEntry, Mirror, RuleEntry
from router.proxy.inputs import CELLS_MAX, wrong
from tests.proxy.rig import RESCUE, Rig, request, rollout, until, version
from tests.proxy.scripted import Scripted, answers, closed_port, echo, hangs, ok, resets

JSON = b"Content-Type: application/json"
SCORES = b'{"predict_proba": [0.123456, 0.876544], "score": 0.876544, "label": "late"}'
LESS = AnswersEntry(2, ("predict_proba",))


def said(body=SCORES, *fields, status=200):
    return answers(ok(body, JSON, *fields, status=status))


# --- answers --------------------------------------------------------------------------------------


async def asked(entry, **fields):
    async with Rig(entry) as rig:
        answer = await rig.ask(**fields)
        await rig.settled()
        rig.count()
        return answer, rig


async def test_an_answer_goes_out_rounded_and_without_fields():
    async with Scripted(said()) as one:
        answer, rig = await asked(rollout(one, one, 0, answers=LESS), body=b"{}")
        assert json.loads(answer.body) == {"score": 0.88, "label": "late"}
        assert int(answer.headers[b"content-length"]) == len(answer.body)
        assert answer.headers[b"content-type"] == b"application/json"
        assert rig.outcomes["v1", "stable", "OK"] == 1
        assert answer.headers[b"x-rampway-version"] == b"v1"


CHUNKED = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/problem+json\r\nETag: "x"\r\n'
    b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (10, SCORES[:10])
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SCORES) - 10, SCORES[10:])
)  # fmt: skip


@pytest.mark.parametrize("reply", [
    CHUNKED,
    ok(gzip.compress(SCORES), JSON, b"Content-Encoding: gzip", b'ETag: "x"', b"Digest: y"),
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + SCORES,
    ok(SCORES, JSON, status=400),
], ids=["chunked", "gzip", "until close", "400"])  # fmt: skip
async def test_however_it_comes(reply):
    async with Scripted(answers(reply)) as one:
        if b"\r\n\r\n{" in reply and b"Content-Length" not in reply:

            async def script(peer):
                await peer.request()
                await peer.send(reply)

            one.script = script
        answer, _ = await asked(rollout(one, one, 0, answers=LESS), body=b"{}")
        assert json.loads(answer.body) == {"score": 0.88, "label": "late"}
        assert int(answer.headers[b"content-length"]) == len(answer.body)
        for gone in (b"etag", b"digest", b"content-encoding", b"transfer-encoding"):
            assert gone not in answer.headers


async def test_a_client_cannot_ask_for_what_is_not_read():
    async with Scripted(said()) as one:
        headers = ["Accept-Encoding: zstd, x-own", "Range: bytes=0-", "If-Range: x", "X-Own: 1"]
        await asked(rollout(one, one, 0, answers=LESS), body=b"{}", headers=headers)
        sent = {name.lower() for name, _ in one.requests[0].headers}
        assert not sent & {b"accept-encoding", b"range", b"if-range"}
        assert b"x-own" in sent


UNREAD = {
    "no JSON": ok(b"0.876544", b"Content-Type: text/plain"),
    "without a type": ok(b"0.876544"),
    "broken": ok(b'{"score": 0.876544', JSON),
    "too large": ok(b'{"score": 0.876544, "pad": "%b"}' % (b"x" * 5_000), JSON),
    "another coding": ok(SCORES, JSON, b"Content-Encoding: own"),
    "a stream": ok(b'data: {"score": 0.876544}\n\n', b"Content-Type: text/event-stream"),
    "a part": ok(SCORES, JSON, b"Content-Range: bytes 0-9/10", status=206),
}


@pytest.mark.parametrize("reply", UNREAD.values(), ids=UNREAD)
async def test_what_cannot_be_read_does_not_leave_or_passes_as_the_policy_says(reply):
    less = AnswersEntry(2, (), 4_096)
    async with Scripted(answers(reply)) as one:
        answer, rig = await asked(rollout(one, one, 0, answers=less), body=b"{}")
        assert answer.status == 502
        assert json.loads(answer.body)["cause"] == "unreadable"
        assert b"876544" not in answer.body
        assert rig.outcomes["v1", "stable", "MALFORMED"] == 1
    async with Scripted(answers(reply)) as one:
        open_ = AnswersEntry(2, (), 4_096, strict=False)
        answer, rig = await asked(rollout(one, one, 0, answers=open_), body=b"{}")
        assert answer.status in (200, 206)
        assert answer.body == reply.split(b"\r\n\r\n", 1)[1]
        assert rig.outcomes["v1", "stable", "OK"] == 1


async def test_what_has_no_body_or_is_no_success_passes():
    async with Scripted(answers(ok(b"", status=204))) as one:
        answer, _ = await asked(rollout(one, one, 0, answers=LESS), body=b"{}")
        assert answer.status == 204
    async with Scripted(answers(ok(b"busy", status=429))) as one:
        answer, _ = await asked(rollout(one, one, 0, answers=LESS), body=b"{}")
        assert (answer.status, answer.body) == (429, b"busy")
    async with Scripted(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")) as one:
        answer, _ = await asked(rollout(one, one, 0, answers=LESS), method="HEAD")
        assert answer.status == 200


async def test_equal_versions_stay_equal_in_comparison_and_the_original_is_compared():
    async with Scripted(said()) as one, Scripted(said()) as two:
        entry = rollout(one, two, 0, answers=LESS, mirrors=(Mirror(1, 10_000),), payload="json")
        async with Rig(entry) as rig:
            answer = await rig.ask(body=b"{}")
            assert b"predict_proba" not in answer.body
            await rig.settled()
            pairs, _ = rig.recorder.take_pairs()
            assert [(p.primary_body, p.shadow_body) for p in pairs] == [(SCORES, SCORES)]


async def test_a_candidate_that_says_no_json_is_blamed_once_and_rescued():
    async with Scripted(said()) as one, Scripted(answers(UNREAD["broken"])) as two:
        rescue = replace(RESCUE, schema=True)
        entry = rollout(one, two, 10_000, answers=LESS, rescue=rescue, payload="json")
        answer, rig = await asked(entry, body=b"{}")
        assert json.loads(answer.body) == {"score": 0.88, "label": "late"}
        assert answer.headers[b"x-rampway-version"] == b"v1"
        assert rig.outcomes["v2", "candidate", "MALFORMED"] == 1
        assert rig.outcomes["v1", "stable", "OK"] == 1


# --- inputs ---------------------------------------------------------------------------------------

AGE = InputsEntry((("age", "number"),), (("age", 0.0, 120.0),), ("age",))
MANY = InputsEntry(tuple((f"f{n}", "number") for n in range(64)), (), ())


@pytest.mark.parametrize(("payload", "body"), [
    ("json", [{}] * 5_000),
    ("v1", {"instances": [{}] * 5_000}),
    ("open_inference_v2", {"inputs": [{"name": "f"}] * 2_000}),
])  # fmt: skip
def test_rows_that_lack_most_of_what_is_declared_are_refused_before_they_cost_anything(
    payload, body
):
    document = SimpleNamespace(value=body, unread=False)
    assert CELLS_MAX // 64 == 1_562
    assert wrong(MANY, payload, document) == "expected at most 1562 rows"
    rows = {"json": [{}] * 1_562, "v1": {"instances": [{}] * 1_562}}
    assert (
        wrong(MANY, payload, SimpleNamespace(value=rows.get(payload, {"inputs": []}), unread=False))
        == ""
    )


@pytest.mark.parametrize(("body", "why"), [
    (b'{"age": 30}', ""),
    (b'{"age": 120}', ""),
    (b'{"age": 121}', "age: expected a number from 0 to 120"),
    (b'{"age": "30"}', "age: expected a number"),
    (b'{"age": true}', "age: expected a number"),
    (b'{"age": null}', "age: expected a value"),
    (b'{"size": 1}', "age: expected a value"),
    (b'[{"age": 1}, {"age": -1}]', "age: expected a number from 0 to 120"),
    (b"age=30", "expected a body of payload json that fits the route's buffer"),
    (b'{"age": NaN}', "age: expected a number from 0 to 120"),
])  # fmt: skip
async def test_what_is_wrong_with_a_request_is_told_and_is_no_evidence(body, why):
    async with Scripted(answers(ok())) as one, Scripted(answers(ok())) as two:
        entry = rollout(one, two, 5_000, inputs=AGE, payload="json")
        answer, rig = await asked(entry, body=body)
        if not why:
            assert answer.status == 200
            return
        assert answer.status == 422
        assert json.loads(answer.body)["detail"] == why
        assert not one.requests
        assert not two.requests
        assert not rig.outcomes
        assert not rig.cells
        assert rig.rejected == {"inputs": 1}


async def test_stable_answers_them_where_the_policy_says_so_and_nobody_is_judged():
    async with Scripted(answers(ok())) as one, Scripted(answers(ok())) as two:
        entry = rollout(one, two, 9_999, inputs=replace(AGE, to_stable=True), payload="json")
        async with Rig(entry) as rig:
            for _ in range(30):
                answer = await rig.ask(body=b'{"age": -1}')
                assert answer.headers[b"x-rampway-version"] == b"v1"
            delta = rig.count()
            assert not two.requests
            assert delta.routes[0].inputs_to_stable == 30
            assert not rig.arm("stable")


async def test_people_get_them_where_the_policy_says_so_and_nobody_is_judged():
    async with Scripted(answers(ok())) as one, Scripted(answers(ok())) as two:
        inputs = replace(AGE, people=2)
        entry = rollout(one, two, 5_000, inputs=inputs, payload="json")
        people = (*entry.versions, version("desk", person=True))
        entry = replace(entry, versions=people, weights_bp=(*entry.weights_bp, 0))
        async with Rig(entry) as rig:
            for number in range(30):
                answer = await rig.ask(body=b'{"age": -1}', headers=[f"X-Request-Id: r{number}"])
                assert (answer.status, answer.headers[b"x-rampway-version"]) == (202, b"desk")
                assert json.loads(answer.body) == {"request_id": f"r{number}"}
            assert (await rig.ask(body=b'{"age": 30}')).status == 200
            delta = rig.count()
            assert len(one.requests) + len(two.requests) == 1
            assert delta.routes[0].inputs_to_review == 30
            drawn = rig.arm("candidate").get("arrived", 0) + rig.arm("stable").get("arrived", 0)
            assert drawn == 1


async def test_a_body_that_comes_late_or_coded_or_too_large_is_looked_at_all_the_same():
    async with Scripted(answers(ok())) as one:
        entry = rollout(one, one, 0, inputs=AGE, payload="json", buffer_bytes=200)
        async with Rig(entry) as rig:
            client = await rig.client()
            head, body = request(body=b'{"age": 999}').split(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n" + body[:4])
            assert (await client.ask(body[4:])).status == 422
            client.close()
            packed = gzip.compress(b'{"age": 999}')
            coded = await rig.ask(body=packed, headers=["Content-Encoding: gzip"])
            assert coded.status == 422
            large = b'{"age": 999, "pad": "%b"}' % (b"x" * 300)
            assert (await rig.ask(body=large)).status == 422
            assert (await rig.ask(body=large, chunked=True)).status == 422
            client = await rig.client()
            head, body = request(body=large.replace(b"999", b"1")).split(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            await client.send(body[:250])
            assert (await client.answer()).status == 422, "what is cut off cannot be read"
            client.close()
            assert (await rig.ask(method="GET")).status == 200, "no body is none to look at"


async def test_a_quota_is_asked_before_the_body_is_looked_at():
    async with Scripted(answers(ok())) as one:
        quota = QuotaEntry("", 10**13, 0, 0)
        async with Rig(rollout(one, one, 0, inputs=AGE, payload="json", quota=quota)) as rig:
            got = [(await rig.ask(body=b'{"age": 999}')).status for _ in range(2)]
            assert got == [422, 429]


async def test_a_rule_does_not_lead_around_it():
    async with Scripted(answers(ok())) as one, Scripted(answers(ok())) as two:
        rules = (RuleEntry(MatchEntry(), 1),)
        entry = rollout(one, two, 0, inputs=AGE, payload="json", rules=rules)
        answer, _ = await asked(entry, body=b'{"age": 999}')
        assert answer.status == 422


# --- fallback -------------------------------------------------------------------------------------

FIXED = FallbackEntry(answer='{"prediction": "unknown"}')
TABLE = FallbackEntry(answer="{}", table={"ann": '{"score": 1}', "7": "2"}, path="user.id")

BROKEN = {
    "500": answers(ok(b"oops", status=500)),
    "reset": resets,
    "hangs": hangs,
    "half": answers(b"HTTP/1.1 500 X\r\nContent-Length: 90\r\n\r\nhalf"),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_when_stable_fails_the_client_gets_the_fallback_and_stable_the_blame(script):
    async with Scripted(script) as one, Scripted(answers(ok())) as two:
        answer, rig = await asked(rollout(one, two, 0, fallback=FIXED), body=b"{}")
        assert (answer.status, answer.body) == (200, b'{"prediction": "unknown"}')
        assert answer.headers[b"x-rampway-fallback"] == b"1"
        assert answer.headers[b"content-type"] == b"application/json"
        assert b"x-rampway-version" not in answer.headers
        (outcome,) = rig.outcomes
        assert outcome[:2] == ("v1", "stable")
        assert outcome[2] in ("SERVER_ERROR", "RESET", "TIMEOUT")
        assert not two.requests


async def test_when_both_fail_each_is_counted_once():
    async with Scripted(answers(ok(status=500))) as one, Scripted(resets) as two:
        entry = rollout(one, two, 5_000, fallback=FIXED, rescue=RESCUE)
        async with Rig(entry) as rig:
            for _ in range(40):
                answer = await rig.ask(body=b"{}")
                assert (answer.status, answer.headers[b"x-rampway-fallback"]) == (200, b"1")
            await rig.settled()
            delta = rig.count()
            arrived = rig.arm("candidate")["arrived"], rig.arm("stable")["arrived"]
            assert sum(arrived) == 40
            assert rig.arm("candidate")["bad"] == arrived[0]
            assert rig.arm("stable")["bad"] == arrived[1]
            assert delta.routes[0].fallbacks == 40


@pytest.mark.parametrize(("body", "expected"), [
    (b'{"user": {"id": "ann"}}', b'{"score": 1}'),
    (b'{"user": {"id": 7}}', b"2"),
    (b'{"user": {"id": "bob"}}', b"{}"),
    (b"none of JSON", b"{}"),
])  # fmt: skip
async def test_a_table_is_asked_with_a_field_of_the_body(body, expected):
    entry = rollout(closed_port(), closed_port(), 0, fallback=TABLE)
    answer, rig = await asked(entry, body=body)
    assert (answer.status, answer.body) == (200, expected)
    assert rig.outcomes["v1", "stable", "REFUSED"] == 1


async def test_a_key_that_is_not_in_a_table_without_an_answer_gets_the_error():
    table = FallbackEntry(table={"ann": '"yes"'}, header="x-user")
    entry = rollout(closed_port(), closed_port(), 0, fallback=table)
    async with Rig(entry) as rig:
        assert (await rig.ask(body=b"{}", headers=["X-User: ann"])).body == b'"yes"'
        for headers in (["X-User: bob"], []):
            answer = await rig.ask(body=b"{}", headers=headers)
            assert answer.status in (502, 503)
            assert b"x-rampway-fallback" not in answer.headers


async def test_a_body_in_pieces_is_still_there_for_the_table():
    async with Scripted(hangs) as one, Rig(rollout(one, one, 0, fallback=TABLE)) as rig:
        client = await rig.client()
        head, body = request(body=b'{"user": {"id": "ann"}}').split(b"\r\n\r\n")
        await client.send(head + b"\r\n\r\n" + body[:4])
        await until(lambda: rig.plane.exchanges)
        assert (await client.ask(body[4:])).body == b'{"score": 1}'
        client.close()


async def test_once_an_answer_has_begun_there_is_no_other():
    async def half(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nhalf")
        peer.reset()

    async with Scripted(half) as one:
        answer, _ = await asked(rollout(one, one, 0, fallback=FIXED), body=b"{}")
        assert not answer.complete
        assert b"prediction" not in answer.body


async def test_nothing_of_this_touches_a_route_without_it():
    async with Scripted(echo) as one:
        answer, rig = await asked(rollout(one, one, 0), body=SCORES)
        assert answer.body == SCORES
        assert not rig.recorder.delta().routes
