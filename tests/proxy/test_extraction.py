"""What a worker sees of clients that ask for much: inputs, answers, and nothing without a bound."""

from __future__ import annotations

import hashlib
import json

import pytest

from router.core.cardinality import estimated
from router.core.wire.protection import ExtractionEntry
from router.link import quotas
from router.proxy.extraction import name_of
from router.proxy.quota import grouped
from router.telemetry import extraction
from router.telemetry.extraction import CLIENTS_MAX, Clients, count
from tests.proxy.rig import Rig, request, rollout
from tests.proxy.scripted import Scripted, answers, echo, ok

WATCHED = ExtractionEntry("x-key", 86_400, 100, "p", 0.5, 0.05, 20)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(extraction, "TELL_EVERY_S", 0.0)


def of(key, body, **fields):
    return request(headers=[f"X-Key: {key}"], body=body, **fields)


@pytest.fixture(autouse=True)
def always_the_same_secret(monkeypatch):
    """Counts are estimates, off by what the secret makes of the inputs."""
    monkeypatch.setattr(quotas.secrets, "token_bytes", lambda size: bytes(range(1, size + 1)))


async def test_different_inputs_and_answers_near_the_threshold_are_counted_by_client():
    async with Scripted(echo) as one:
        entry = rollout(one, one, 0, extraction=WATCHED, payload="json")
        async with Rig(entry) as rig:
            client = await rig.client()
            for number in range(400):
                score = 0.5 if number % 16 == 0 else 0.9
                body = json.dumps({"p": score, "n": number % 200}).encode()
                assert (await client.ask(of("secret", body))).status == 200
                assert (await client.ask(of("other", b'{"p": 1}'))).status == 200
            client.close()
            seen = {one.client: one for one in rig.count().clients}
            digest = hashlib.sha256(b"secret").hexdigest()[:16]
            busy = seen[f"x-key sha256:{digest}"]
            assert 190 <= estimated(busy.registers) <= 236, "25 of the 200 have another score"
            assert (busy.answers, busy.near) == (50, 25)
            other = seen[f"x-key sha256:{hashlib.sha256(b'other').hexdigest()[:16]}"]
            assert estimated(other.registers) < 1.5
            assert (other.answers, other.near) == (50, 0)
            assert "secret" not in str(seen)


async def test_bodies_in_pieces_count_and_errors_do_not():
    async with Scripted(answers(ok(b"{}", status=500))) as one:
        entry = rollout(one, one, 0, extraction=WATCHED)
        async with Rig(entry) as rig:
            for number in range(9):
                await rig.ask(of("a", b"%d" % number))
            assert rig.count().clients == ()
    async with Scripted(answers(ok(b"{}"))) as one:
        entry = rollout(one, one, 0, extraction=WATCHED)
        async with Rig(entry) as rig:
            client = await rig.client()
            for number in range(40):
                head, body = of("a", b"number %d" % number).split(b"\r\n\r\n")
                await client.send(head + b"\r\n\r\n" + body[:3])
                assert (await client.ask(body[3:])).status == 200
            client.close()
            (one_client,) = rig.count().clients
            assert 37 <= estimated(one_client.registers) <= 43


async def test_a_swap_of_the_table_forgets_nobody_and_another_policy_does():
    async with Scripted(answers(ok(b"{}"))) as one:
        entry = rollout(one, one, 0, extraction=WATCHED)
        async with Rig(entry) as rig:
            for number in range(30):
                await rig.ask(of("a", b"%d" % number))
            rig.apply(rollout(one, one, 100, extraction=WATCHED))
            for number in range(30, 60):
                await rig.ask(of("a", b"%d" % number))
            (client,) = rig.count().clients
            assert estimated(client.registers) > 55
            rig.apply(rollout(one, one, 100))
            await rig.ask(of("a", b"x"))
            assert rig.count().clients == ()


def test_a_crowd_is_bounded_and_the_busiest_stay(monkeypatch):
    clients = Clients("r", WATCHED)
    for number in range(3 * CLIENTS_MAX):
        for _ in range(2 if number else 500):
            key = b"h%d" % number
            count(clients.find(key) or clients.meet(key, str(number)), number)
    assert len(clients._known) <= CLIENTS_MAX
    assert clients.find(b"h0").requests == 500
    assert [one.client for one in clients.take()] == ["0"]
    assert clients.take() == [], "nothing new"


def test_names_for_people():
    assert name_of(b"a" + grouped(b"10.0.0.1"), "") == "10.0.0.1"
    assert name_of(b"a" + grouped(b"2001:db8::1"), "") == "2001:db8::/64"
    assert name_of(b"hkey", "x-key").startswith("x-key sha256:2c70e12b7a0646f9")
