"""`rescue: {on: [schema]}`: stable answers in place of what cannot be read."""

import asyncio
import gzip
import json
from collections import Counter

import pytest

from tests.proxy.rig import RESCUE, Rig, replace, rollout, until
from tests.proxy.scripted import Scripted, closed_port

READ = replace(RESCUE, schema=True, answer_buffer_bytes=2_000)
ALL = 10_000
"""Every draw falls to the candidate, and is evidence."""

GOOD = b'{"predictions": [[0.25, 0.75]]}'
OTHER = b'{"predictions": [[0.5, 0.5]]}'
WRONG = b'{"error": "no such model"}'
CUT = GOOD[:-4]
TYPE = "Content-Type: "


def head(*lines, size=None, status=200):
    """An answer's head; ``size`` None: chunked."""
    framing = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    return "\r\n".join([f"HTTP/1.1 {status} OK", *lines, framing, "", ""]).encode()


def chunks(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def saying(*parts, then="next"):
    """A backend that answers with these parts, a loop turn apart; then eof, or hang."""

    async def script(peer):
        while True:
            await peer.request()
            for part in parts:
                await peer.send(part)
                await asyncio.sleep(0.005)
            if then == "eof":
                peer.writer.close()
                return
            if then == "hang":
                await peer.wait_gone()
                return

    return Scripted(script)


def plain_answer(body, *lines, status=200):
    return saying(head(*lines, size=len(body), status=status) + body)


async def asked(candidate, stable=None, rescue=READ, weight_bp=ALL, payload="v1", **ask):
    """The client's answer, both arms' counts, all outcomes by version, stable's requests."""
    entry = {"rescue": rescue, "payload": payload}
    async with (
        stable or plain_answer(OTHER) as one, candidate as two,
        Rig(rollout(one, two, weight_bp, **entry)) as rig,
    ):  # fmt: skip
        answer = await rig.ask(**({"body": b"x"} | ask))
        await rig.settled()
        rig.count()
        return answer, rig.arm("candidate"), dict(rig.outcomes), len(one.requests)


UNREADABLE = {
    "another document": plain_answer(WRONG),
    "cut off JSON": plain_answer(CUT),
    "nothing": plain_answer(b""),
    "HTML": plain_answer(b"<html>503</html>", TYPE + "text/html"),
    "chunked": saying(head(), chunks(WRONG[:5], WRONG[5:])),
    "until close": saying(b"HTTP/1.1 200 OK\r\n\r\n", WRONG, then="eof"),
    "piece by piece": saying(head(size=len(WRONG)), WRONG[:5], WRONG[5:9], WRONG[9:]),
    "compressed": plain_answer(gzip.compress(WRONG), "Content-Encoding: gzip"),
    "created": plain_answer(WRONG, status=201),
}


@pytest.mark.parametrize("candidate", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_answered_by_stable(candidate):
    answer, arm, outcomes, replays = await asked(candidate)

    assert (answer.status, answer.body, answer.complete) == (200, OTHER, True)
    assert answer.headers[b"x-rampway-version"] == b"v1"
    assert arm == Counter(arrived=1, bad=1)
    assert outcomes == {("v2", "candidate", "MALFORMED"): 1, ("v1", "stable", "OK"): 1}
    assert replays == 1


LOST = {
    "cut off": saying(head(size=len(GOOD)) + GOOD[:5], then="eof"),
    "silent": saying(head(size=len(GOOD)) + GOOD[:5], then="hang"),
    "not HTTP": saying(head() + b"zz\r\n"),
}


@pytest.mark.parametrize("candidate", LOST.values(), ids=LOST)
async def test_an_answer_lost_while_it_was_held_was_never_seen(candidate):
    answer, arm, _, replays = await asked(candidate)

    assert (answer.status, answer.body, answer.complete, replays) == (200, OTHER, True, 1)
    assert arm == Counter(arrived=1, bad=1)


READABLE = {
    "at once": plain_answer(GOOD),
    "chunked": saying(head(), chunks(GOOD[:5], GOOD[5:])),
    "piece by piece": saying(head(size=len(GOOD)), GOOD[:5], GOOD[5:9], GOOD[9:]),
    "until close": saying(b"HTTP/1.1 200 OK\r\n\r\n", GOOD, then="eof"),
}


@pytest.mark.parametrize("candidate", READABLE.values(), ids=READABLE)
async def test_what_can_be_read_arrives_unchanged(candidate):
    answer, arm, outcomes, replays = await asked(candidate)

    assert (answer.status, answer.body, answer.complete) == (200, GOOD, True)
    assert answer.headers[b"x-rampway-version"] == b"v2"
    assert (arm, replays) == (Counter(arrived=1, ok=1), 0)
    assert outcomes == {("v2", "candidate", "OK"): 1}


LARGE = json.dumps({"predictions": [0.5] * 1_000}).encode()[:-1]  # no JSON, and too large to know
PACKED = gzip.compress(LARGE, mtime=0)
UNREAD = {
    "too large, as it says": (plain_answer(LARGE), LARGE),
    "too large, as it turns out": (saying(head(), chunks(LARGE[:999], LARGE[999:])), LARGE),
    "an event stream": (plain_answer(WRONG, TYPE + "text/event-stream; charset=utf-8"), WRONG),
    "too large when unpacked": (plain_answer(PACKED, "Content-Encoding: gzip"), PACKED),
    "another coding": (plain_answer(WRONG, "Content-Encoding: lz4"), WRONG),
    "a part": (plain_answer(WRONG, status=206), WRONG),
    "a refusal": (plain_answer(WRONG, status=422), WRONG),
}


@pytest.mark.parametrize(("candidate", "body"), UNREAD.values(), ids=UNREAD)
async def test_what_is_not_read_is_passed_on_and_no_failure(candidate, body):
    answer, arm, _, replays = await asked(candidate)

    assert (answer.body, answer.complete, replays) == (body, True, 0)
    assert arm == Counter(arrived=1, ok=1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_only_answers_to_posts_are_predictions(method):
    candidate = saying(head(size=0))
    answer, arm, _, replays = await asked(candidate, method=method, body=b"")
    assert (answer.status, replays, arm) == (200, 0, Counter(arrived=1, ok=1))


async def test_an_event_stream_is_not_held_until_its_end():
    first = b"data: {}\n\n"
    stream = saying(head(TYPE + "text/event-stream") + b"%x\r\n%b\r\n" % (len(first), first),
                    then="hang")  # fmt: skip
    async with (
        plain_answer(OTHER) as stable, stream as candidate,
        Rig(rollout(stable, candidate, ALL, rescue=READ, payload="openai")) as rig,
    ):  # fmt: skip
        client = await rig.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        seen = await asyncio.wait_for(client.reader.readuntil(first), 2)
        assert seen.startswith(b"HTTP/1.1 200 ")
        client.close()


async def test_without_a_replay_it_goes_out_as_it_came_and_still_counts():
    none = replace(READ, budget_min=0, budget_bp=0)
    answer, arm, outcomes, replays = await asked(plain_answer(WRONG), rescue=none)
    assert (answer.status, answer.body, replays) == (200, WRONG, 0)
    assert arm == Counter(arrived=1, bad=1)
    assert outcomes == {("v2", "candidate", "MALFORMED"): 1}


async def test_a_replay_on_a_dead_stable_is_an_error_and_the_candidate_blamed_once():
    async with (
        plain_answer(WRONG) as candidate,
        Rig(rollout(closed_port(), candidate, ALL, rescue=READ, payload="v1")) as rig,
    ):
        assert (await rig.ask(body=b"x")).status == 502
        rig.count()
        assert rig.arm("candidate") == Counter(arrived=1, bad=1)


async def test_stables_answers_are_read_too_so_that_equal_versions_stay_equal(monkeypatch):
    monkeypatch.setattr("router.proxy.assign.coin", lambda: 9_900)
    entry = {"rescue": READ, "payload": "v1", "thresholds_s": (5.0,)}
    async with (
        plain_answer(WRONG) as stable, plain_answer(GOOD) as candidate,
        Rig(rollout(stable, candidate, 5_000, **entry)) as rig,
    ):  # fmt: skip
        answer = await rig.ask(body=b"x")
        rig.count()
    assert (answer.status, answer.body) == (200, WRONG)  # nobody else would know better
    assert (rig.arm("stable")["arrived"], rig.arm("stable")["bad"]) == (1, 1)


@pytest.mark.parametrize(
    ("stable", "bad", "body"), [(OTHER, 1, OTHER), (WRONG, 0, WRONG)], ids=["candidate", "payload"]
)
async def test_what_stable_cannot_answer_readably_either_is_the_payloads_fault(stable, bad, body):
    excuse = replace(READ, excuse_payload=True)
    answer, arm, _, _ = await asked(plain_answer(WRONG), plain_answer(stable), rescue=excuse)
    assert (answer.body, arm["arrived"], arm["bad"]) == (body, 1, bad)


async def test_a_candidates_deadline_holds_while_its_answer_is_held():
    """It drips for ever, never silent for long enough to be called so."""

    async def drips(peer):
        await peer.request()
        await peer.send(head(size=1_000))
        while True:
            await peer.send(b"1")
            await asyncio.sleep(0.01)

    patient = replace(READ, deadline_s=0.2)
    answer, arm, outcomes, _ = await asked(Scripted(drips), rescue=patient)
    assert (answer.status, answer.body) == (200, OTHER)
    assert arm == Counter(arrived=1, bad=1)
    assert outcomes["v2", "candidate", "TIMEOUT"] == 1


async def test_a_client_that_leaves_while_an_answer_is_held_blames_nobody():
    slow = saying(head(size=len(GOOD)) + GOOD[:5], then="hang")
    async with (
        plain_answer(OTHER) as stable, slow as candidate,
        Rig(rollout(stable, candidate, ALL, rescue=READ, payload="v1")) as rig,
    ):  # fmt: skip
        client = await rig.client()
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        await until(lambda: candidate.requests)
        client.close()
        await rig.settled()
        rig.count()
        assert rig.arm("candidate")["bad"] == 0
        assert rig.outcomes == {("v2", "candidate", "CLIENT_ABORT"): 1}


@pytest.mark.parametrize(("target", "rescued"), [("/other", True), ("/v2/m/infer", False)])
async def test_an_answer_is_read_by_the_payload_of_its_path(target, rescued):
    tensors = b'{"outputs": [{"name": "y", "shape": [1], "datatype": "INT64", "data": [1]}]}'
    paths = (("/v2/*", "open_inference_v2"),)
    async with (
        plain_answer(OTHER) as one, plain_answer(tensors) as two,
        Rig(rollout(one, two, ALL, rescue=READ, payload="mlflow", payload_paths=paths)) as rig,
    ):  # fmt: skip
        answer = await rig.ask(body=b"x", path=target)
        assert (answer.body == OTHER) is rescued


async def test_a_payload_that_fails_is_told_and_blames_nobody(monkeypatch):
    class Broken:
        def read(self, body):
            raise ZeroDivisionError(body)

    monkeypatch.setitem(__import__("router.core.payloads").core.payloads.PAYLOADS, "acme", Broken())
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, about: told.append(about))
    answer, arm, _, _ = await asked(plain_answer(GOOD), payload="acme")
    assert (answer.body, arm) == (GOOD, Counter(arrived=1, ok=1))
    assert [about["message"] for about in told] == ["payload 'acme' failed to read an answer"]
