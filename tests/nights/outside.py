"""What is around the router: versions, clients, and servers that hooks and gates ask."""

from __future__ import annotations

import asyncio
import json
import zlib

import aiohttp

from router.core.monitors.profile import profiled
from tests.nights.judged import verdict

GOOD = b'{"predictions": [0.75], "model": "m"}'
HOSTILE = (
    b'{"label":"a","\\ud800":1}', b'{"predictions":[1e999]}', b"\xff\xfe\x00", b"[" * 200,
    b'{"predictions":' + b"9" * 500 + b"}", b"null", b'{"a":1,"a":2}',
)  # fmt: skip


KINDS_SEEN = ("x", "y", "z")
TOKENS = (
    b'"choices": [{"text": "a"}], "usage": {"prompt_tokens": 40, "completion_tokens": 20}}',
    b'"usage": {"prompt_tokens": 9}}', b'"usage": 7}', b'"usage": {"prompt_tokens": -1}}',
)  # fmt: skip
LOADS = (
    b"endpoint-load-metrics: TEXT cpu_utilization=0.3, named_metrics.queue=4\r\n",
    b'endpoint-load-metrics: JSON {"cpu_utilization": 0.4, "named_metrics": {"gpu": 0.9}}\r\n',
    b"endpoint-load-metrics: BIN aaaa\r\n", b"endpoint-load-metrics: ,=,\r\n", b"",
)  # fmt: skip
SERIES = (
    b"process_resident_memory_bytes %d\nprocess_cpu_seconds_total %.3f\nown_queue 3\n",
    b'process_resident_memory_bytes{a="b"} %d\n# %.3f\nnv_gpu_utilization 0.9\n',
    b"process_cpu_seconds_total NaN\n# %d %.3f\n",
    b"# nothing of use %d %.3f\n",
)
"""What `/metrics` of a version says."""


def asked_rows(chance, user):
    """A request's body: one or two rows with features, now and then none or other bytes."""
    kind = chance.random()
    if kind < 0.02:
        return chance.choice(HOSTILE)
    amounts = [round(chance.random() * 100, 2) for _ in range(1 if kind < 0.8 else 2)]
    return json.dumps({"instances": [
        {"amount": amount, "kind": chance.choice(KINDS_SEEN), "user": user} for amount in amounts
    ]}).encode()  # fmt: skip


def said_rows(asked, manner):
    """What a version says of rows: the same whenever it is asked the same."""
    try:
        rows = json.loads(asked)["instances"]
        amounts = [float(row["amount"]) for row in rows]
    except (ValueError, TypeError, KeyError, RecursionError):
        return GOOD
    said = [{"label": "yes" if a > 50 else "no", "score": a / 100} for a in amounts]
    if manner == "nulls":
        said = [{"label": None, "score": None} for _ in said]
    elif manner == "other":
        said = [{"label": "no", "score": 1.0 - one["score"]} for one in said]
    elif manner == "near" and zlib.crc32(asked) % 3:
        said = [one | {"score": one["score"] / 2} for one in said]
    return json.dumps({"predictions": said}).encode()


def answer(status, body=GOOD, extra=b""):
    head = b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
    return head % (status, len(body), extra) + body


MANNERS = ("ok", "error", "refuse", "void", "hang", "reset", "garbage", "truncated", "slow",
           "client_error", "hostile", "empty", "extra", "interim", "chunked", "early",
           "drip", "nulls", "other")  # fmt: skip


class Version:
    """A version's process at one port, as it is disposed to at the moment."""

    def __init__(self, night, port):
        self.night, self.port = night, port
        self.bad_rate = 0.0
        self.manners = ("error",)
        """How it is bad."""
        self.latency_s = 0.004

    def draw(self):
        chance = self.night.machine.chance
        return chance.choice(self.manners) if chance.random() < self.bad_rate else "ok"

    def manner(self):
        """Of a connect."""
        drawn = self.draw()
        return drawn if drawn in ("refuse", "void") else "accept"

    def accepted(self, wire):
        return Served(self, wire)


class Served(asyncio.Protocol):
    """One connection to a version."""

    def __init__(self, version, wire):
        self.version, self.night, self.wire = version, version.night, wire
        self.data = b""
        self.gone = False

    def connection_made(self, transport):
        pass

    def connection_lost(self, error):
        self.gone = True

    def eof_received(self):
        return False

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head, rest = self.data[:end], self.data[end + 4 :]
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                return
            self.data = rest[length:]
            self._asked(head, rest[:length])

    def _asked(self, head, body):
        night, version = self.night, self.version
        chance = night.machine.chance
        probe = b"rampway-health" in head
        if not probe:
            night.checks.reached(version.port, head, self.wire)
        manner = version.draw()
        late_s = version.latency_s * chance.expovariate(1.0)
        if manner == "slow":
            late_s += 0.3 + chance.random()
        if manner in ("hang", "void"):
            return
        if manner == "ok" and night.desk is not None and version.port % 10 == 2:
            manner = "near"  # else there is nothing to judge
        good = said_rows(body, manner) if night.rows and not probe else GOOD
        extra = b""
        if night.using and not probe:
            good = good[:-1] + b", " + chance.choice(TOKENS)
            if b"endpoint-load-metrics-format" in head:
                extra = chance.choice(LOADS)
        night.world.call_later(late_s, self._say, manner, good, extra)

    def _say(self, manner, good, extra=b""):
        wire, chance = self.wire, self.night.machine.chance
        if self.gone:
            return
        if manner in ("reset", "refuse"):
            wire.abort()
        elif manner == "garbage":
            wire.write(chance.choice([b"\x00\xff" * 9, b"HTTP/9.9 x\r\n\r\n", b"SSH-2.0\r\n",
                                      b"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n"]))  # fmt: skip
        elif manner == "truncated":
            wire.write(answer(200, good)[:-9])
            wire.close()
        elif manner == "drip":
            said = answer(200, good)
            for at in range(0, len(said), 40):
                self.night.world.call_later(at * 0.01, self._drip, said[at : at + 40])
        elif manner == "interim":
            wire.write(b"HTTP/1.1 103 Early\r\n\r\n" * chance.choice([1, 9]) + answer(200, good))
        elif manner == "chunked":
            wire.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            )
        else:
            wire.write(
                {
                    "error": answer(500), "client_error": answer(404), "empty": answer(200, b""),
                    "hostile": answer(200, chance.choice(HOSTILE)), "early": answer(413),
                    "extra": answer(200, good) + b"HTTP/1.1 200 OK\r\n",
                }.get(manner, answer(200, good, extra))
            )  # fmt: skip

    def _drip(self, piece):
        if not self.gone:
            self.wire.write(piece)


class Client(asyncio.Protocol):
    """A client that keeps its connection, asks now and then, and may leave at any time."""

    def __init__(self, night, number):
        self.night, self.number = night, number
        self.wire = None
        self.waiting = False
        self.since = 0.0
        self.data = b""
        self.asked = ("", "")
        self.made = b""
        """What the last answer of a route that feeds others is to be known by."""
        self.answers = []
        """(route, request id, receipt) of the last answers; a receipt may be empty."""

    def go_on(self):
        """Ask, if the last one was answered; connect first."""
        night = self.night
        chance = night.machine.chance
        night.world.call_later(chance.expovariate(night.rate / night.clients), self.go_on)
        if not night.traffic:
            return
        if self.waiting:
            if chance.random() < night.impatience and self.wire is not None:
                self.wire.abort()
            return
        if self.wire is None and not night.net.client(night.world, self):
            return
        self._ask(chance)

    def _ask(self, chance):
        night = self.night
        night.requests += 1
        route = chance.choice("ab")
        kind = chance.random()
        fields = b""
        if kind < 0.04:
            fields = b"X-Rampway-Pin: %b\r\n" % chance.choice([b"v2", b"v3", b"v9"])
        elif kind < 0.08:
            fields = b"X-Debug: new\r\n"
        if night.users:
            fields += b"X-User-Id: u%d\r\n" % chance.randrange(night.users)
            fields += b"X-Country: %b\r\n" % chance.choice([b"x", b"y", b"z"])
        if self.made:
            fields += b"baggage: %b\r\n" % self.made
        body = b'{"user": "u%d"}' % self.number
        if night.rows:
            body = asked_rows(chance, f"u{self.number}")
        head = b"POST /%b HTTP/1.1\r\nHost: h\r\nX-Request-Id: q%d\r\n%bContent-Length: %d\r\n\r\n"
        said = head % (route.encode(), night.requests, fields, len(body)) + body
        if night.desk is not None:
            said = night.desk.look_again() or said
        if chance.random() < 0.01:
            said = chance.choice([b"\x00\x01\x02", said[:20] + b"\r\n: \r\n\r\n", said * 3])
        self.waiting, self.since, self.data = True, night.machine.now, b""
        self.asked = (route, f"q{night.requests}")
        self.wire.write(said)

    def connection_made(self, transport):
        self.wire = transport
        transport.latency_s = 0.0003

    def data_received(self, data):
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        found = [line[19:].decode() for line in self.data[:end].split(b"\r\n")
                 if line.startswith(b"X-Rampway-Receipt: ")]  # fmt: skip
        if self.night.desk is not None:
            self.night.desk.answered(self.data[:end])
            self.made = marked(self.data[:end]) or self.made
        if self.waiting:
            self.answers.append((*self.asked, *found[:1], *[""] * (not found)))
            del self.answers[:-5]
        self.waiting = False

    def eof_received(self):
        return False

    def connection_lost(self, error):
        self.wire, self.waiting = None, False


def marked(head):
    """What an answer says to send on as baggage; nothing in most."""
    _, found, rest = head.partition(b"X-Rampway-Baggage: ")
    return rest.partition(b"\r\n")[0] if found else b""


async def profiles(night, file, features, by="", segments=0):
    """A reference file that is there or is not, read in a process of its own."""
    chance = night.machine.chance
    await asyncio.sleep(chance.expovariate(1 / 0.2))
    kind = chance.random()
    if kind < 0.2:
        raise ValueError(f"{file}: no such file")
    if kind < 0.3:
        raise OSError(12, "Cannot allocate memory")
    seen = {"amount": [chance.random() * 100 for _ in range(200)],
            "kind": [chance.choice(KINDS_SEEN) for _ in range(200)]}  # fmt: skip
    made = {name: profiled(kind, seen[name]) for name, kind in features if name in seen}
    return made, dict.fromkeys(KINDS_SEEN[:segments] if by else (), made)


# --- hooks, gates, registries ---------------------------------------------------------------------


class Session:
    """As ``aiohttp.ClientSession``: whoever is asked says yes, no, nothing or something else."""

    def __init__(self, night):
        self.night = night

    def post(self, url, *, json=None, data=b"", headers=None, allow_redirects=False):
        return Call(self.night, url, json or {}, data)

    def get(self, url, *, params=None, headers=None, allow_redirects=False, **_):
        return Call(self.night, url, params or {})

    def request(self, method, url, **fields):
        return Call(self.night, url, fields.get("json") or fields.get("params") or {})

    async def close(self):
        pass


class Call:
    """One question."""

    def __init__(self, night, url, about, said=b""):
        self.night, self.url, self.about, self.said = night, url, about, said
        self.process = night.machine.current
        self.begun = night.machine.now
        self.ended = None
        self.status = None
        self.body = b""
        self.content = self

    async def __aenter__(self):
        night = self.night
        night.calls.append(self)
        chance = night.machine.chance
        manner = night.manner_outside(self.url)
        await asyncio.sleep(0.002 + chance.expovariate(1 / 0.01))
        if manner == "nothing":
            await asyncio.sleep(3_600)
        if manner == "refuse":
            self.ended = night.machine.now
            raise aiohttp.ClientConnectionError
        if manner == "slow":
            await asyncio.sleep(chance.random() * 2)
        self.status = {"yes": 200, "no": 409, "broken": 503, "redirect": 302}.get(manner, 200)
        self.body = self._body(manner, chance)
        self.ended = night.machine.now
        return self

    def _body(self, manner, chance):
        if self.url.endswith("/judge"):
            return verdict(self.said, manner, chance)
        if manner == "garbage":
            return chance.choice([b"", b"\xff", b"[]", b'{"status": 1}', b'{"status": "success"}',
                                  b'{"registered_model": 5}',
                                  b'{"registered_model": null}'])  # fmt: skip
        if self.url.endswith("/metrics"):
            now, said = self.night.machine.now, chance.choice(SERIES)
            return said % (chance.choice([500, 50_000_000]), 100 - now if manner == "no" else now)
        if "query" in self.url:
            value = {"yes": "0.5", "no": "5"}.get(manner, "NaN")
            kind, result = chance.choice([
                ("scalar", [0, value]), ("vector", [{"value": [0, value]}]), ("matrix", []),
            ] if self.night.using else [("scalar", [0, value])])  # fmt: skip
            result = {"resultType": kind, "result": result}
            return json.dumps({"status": "success", "data": result}).encode()
        if self.night.using and "/get" in self.url:
            one = {"alias": chance.choice(["champion", "challenger", "x"]),
                   "version": chance.choice("123")}  # fmt: skip
            return json.dumps({"registered_model": {"aliases": [one]}}).encode()
        return chance.choice([b'{"registered_model": {"aliases": []}}', b'{"message": "no"}'])

    async def __aexit__(self, *_):
        pass

    async def read(self, _most):
        return self.body

    async def iter_any(self):
        """In pieces."""
        for at in range(0, len(self.body), 200):
            yield self.body[at : at + 200]

    @property
    def under_way(self):
        return self.ended is None
