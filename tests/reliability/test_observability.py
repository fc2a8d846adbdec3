"""R48, R49: what clients send never becomes a line, a label, or an answer of ours."""

from __future__ import annotations

import json
import random
import re
import socket
import string
import time

import pytest

from router import __version__
from router.proxy.worker import REPORT_S
from tests.reliability.whole import ANSWER_S, call, until

pytestmark = pytest.mark.slow

SECRETS = ("hunter2-secret", "sid-secret-cookie", "key-secret-query")
MARKS = ("\x1b[31m", "\x9b31m", "\r\nInjected: yes", "\nlevel=fatal", "\x00", "\u2028", "\u202e")


@pytest.fixture(scope="module")
def router(shared, nursery):
    shared.write(top="access_log: true")
    return nursery.start(shared)


def sent(port, raw):
    """Everything that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as client:
        client.sendall(raw)
        answer = b""
        try:
            while piece := client.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def status_of(answer):
    return int(answer[9:12]) if answer else 0


def test_r48_logs_have_one_json_object_a_line_and_no_secret(router):
    """Whatever is in target, method, host, user agent and body."""
    statuses = set()
    for mark in MARKS:
        raw = mark.encode()
        for place in range(4):
            parts = [b"GET", b"/v2/health/live", b"router.test", b"agent"]
            parts[place] += raw
            method, target, host, agent = parts
            statuses.add(status_of(sent(router.port, (
                method + b" " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nUser-Agent: "
                + agent + b"\r\nConnection: close\r\n\r\n"
            ))))  # fmt: skip
    answer = sent(router.port, (
        b"POST /v2/health/live?api_key=key-secret-query HTTP/1.1\r\nHost: router.test\r\n"
        b"Authorization: Bearer hunter2-secret\r\nCookie: sid=sid-secret-cookie\r\n"
        b"Content-Length: 14\r\nConnection: close\r\n\r\nhunter2-secret"
    ))  # fmt: skip
    assert status_of(answer)
    assert 400 in statuses
    router.api("/api/v1/rollouts/flights/pause", "POST", {"reason": "bad\x1b[2J\nadmin: yes\u202e"})
    router.api("/api/v1/rollouts/flights/resume", "POST", {"reason": "Bearer hunter2-secret"})
    until(lambda: "health/live" in router.log_file.read_text())

    raw = router.log_file.read_bytes()
    for line in raw.splitlines():
        assert isinstance(json.loads(line), dict), line
    text = raw.decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", text)
    assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /marker-7f3a HTTP/9.9\r\nHost: router.test\r\n\r\n",
        b"MARKER-7f3a! / HTTP/1.1\r\nHost: router.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: marker-7f3a@router.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: router.test\r\nmarker-7f3a : x\r\n\r\n",
        b"GET /<script>marker-7f3a HTTP/1.1\r\nHost: router.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: router.test\r\nContent-Length: marker-7f3a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: router.test\r\nTransfer-Encoding: marker-7f3a\r\n\r\n",
        b"GET /" + b"marker-7f3a" * 4_000 + b" HTTP/1.1\r\nHost: router.test\r\n\r\n",
    ],
)
def test_r48_error_answers_do_not_echo_what_was_sent(router, raw):
    answer = sent(router.port, raw)
    assert status_of(answer) in (400, 414, 431, 501, 505)
    assert b"marker-7f3a" not in answer.lower()


LABELS = {
    "route", "version", "role", "outcome", "code_class", "status", "le", "cause", "worker",
    "process", "action", "by", "phase", "gate", "endpoint", "python", "result", "reason", "kind",
}  # fmt: skip
"""None of them is filled with anything a client can write."""


def test_r49_no_client_adds_a_series(router):
    """500 random methods, paths, hosts and headers: the same lines, under 2,000, no word of it."""
    rng = random.Random(49)

    def word(n=8):
        return "zz" + "".join(rng.choices(string.ascii_letters, k=n))

    def some(count):
        for _ in range(count):
            method = rng.choice((word().upper(), "GET", "POST", "DELETE", "OPTIONS"))
            sent(router.port, (
                f"{method} /{word()}/{word()}?{word()}={word()} HTTP/1.1\r\nHost: {word()}.test\r\n"
                f"X-Rampway-Version: {word()}\r\nX-{word()}: {word()}\r\nUser-Agent: {word()}\r\n"
                "Connection: close\r\n\r\n"
            ).encode())  # fmt: skip

    some(500)
    _settled(router)
    text = call(router.admin + "/metrics")[1]
    found: dict[str, set[str]] = {}
    for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text):
        found.setdefault(name, set()).add(value)
    print(f"{len(text.splitlines())} lines, labels { {n: len(v) for n, v in found.items()} }")
    assert len(text.splitlines()) < 2_000
    assert not re.search("zz[a-zA-Z]{8}", text, re.IGNORECASE)
    assert found["route"] == {"flights"}
    assert found["version"] <= {"v1", "v2", __version__}
    assert set(found) <= LABELS
    assert all(float(bound) > 0 for bound in found["le"])


def _settled(router):
    """All counts of the workers have arrived: two scrapes are alike."""
    seen = [0, 1]

    def alike():
        seen.append(sum(_requests(router)))
        return seen[-1] == seen[-2] == seen[-3]

    until(alike, 10)


def _requests(router):
    time.sleep(REPORT_S * 1.2)
    text = call(router.admin + "/metrics")[1]
    return [float(x.split()[-1]) for x in text.splitlines() if x.startswith("rampway_requests")]
