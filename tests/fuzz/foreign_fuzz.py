"""Foreign JSON by the million: answers of every payload, requests, orders.

    python -m tests.fuzz.foreign_fuzz --each 20000 [--seed 1]

Every input is an answer or Unreadable, within 50 ms of CPU (the best of seven, should one be slow,
at this machine's usual pace: :mod:`tests.pace`) and 10 MiB; a pair of them is compared, booked,
shown and stored without another word. Prints a line a kind and ends with 1 at the first input that
breaks the rule, which it prints.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
import traceback
import tracemalloc
from collections import Counter
from functools import partial

import msgspec

from router.core.foreign import ANSWER, STRICT, Unreadable, read
from router.core.pairs.compare import Compare
from router.core.pairs.shadow import ShadowBook, Terms
from router.core.payloads import PAYLOADS, Beyond, unpacked
from router.core.predictions.rows import (
    ROWS_MAX,
    Declared,
    answer_rows,
    class_of,
    number_of,
    request_rows,
)
from router.core.wire.counts import PairSample
from router.core.wire.table import MatchKind, ValueEntry
from router.proxy.matching import BodyDocument, body_matches
from tests import protobuf
from tests.core.pairs.judged import as_told, judged_by
from tests.pace import pace

CALLS = ("open_inference_grpc", "tensorflow_grpc")
CPU_S_MAX = 0.05
MEMORY_MAX = 10 * 2**20

NUMBERS = (
    0, 1, -1, 0.5, -0.0, 1e308, -1e308, 1e-320, 2**53 + 1, 2**63, 2**64, 10**18, 10**30, 10**309,
    -(10**309), 10**4200, float("nan"), float("inf"), -float("inf"), 30_000_000,
)  # fmt: skip
TEXTS = (
    "", "a", "v1", "stop", "\ud800", "a\udfffb", "x" * 200, "\u202e", "0.5", "9" * 400, "\0", "é",
    "😀", "NaN", "user", "\ufeff",
)  # fmt: skip
KEYS = (
    "a", "b", "predictions", "outputs", "choices", "score", "data", "shape", "name", "datatype",
    "message", "content", "index", "delta", "finish_reason", "error", "\ud800", "", "a.b", "a[0]",
    "user", "id", "k" * 300, "\0",
)  # fmt: skip


def leaf(rnd):
    return rnd.choice(rnd.choice((NUMBERS, TEXTS, (True, False, None))))


def document(rnd, depth=0):
    kind = rnd.random()
    if depth > 6 or kind < 0.45:
        return leaf(rnd)
    if kind < 0.75:
        return [document(rnd, depth + 1) for _ in range(rnd.randrange(6))]
    return {rnd.choice(KEYS): document(rnd, depth + 1) for _ in range(rnd.randrange(6))}


def tensor(rnd):
    n = rnd.randrange(5)
    if rnd.random() < 0.6:
        data = [leaf(rnd) for _ in range(n * 3)]
        shape = rnd.choice(([n, 3], [3 * n], [1, n, 3]))
        return {"name": rnd.choice(TEXTS), "datatype": "FP64", "shape": shape, "data": data}
    shapes = (
        [1], [n], [1, 3], [2, 2], [0], [-1], [10**10], [0, 10**10], [0, 30_000_000], [10**400],
        "x", None, [1.5], [True], [[1]], [1] * 40, [], [2**63, 2**63],
    )  # fmt: skip
    return {
        "name": rnd.choice((*TEXTS, 3, None)),
        "datatype": rnd.choice(("FP32", "INT64", "BYTES", "BOOL", 3)),
        "shape": rnd.choice(shapes),
        "data": rnd.choice((document(rnd), [leaf(rnd) for _ in range(n)], [])),
    }


def choice(rnd):
    if rnd.random() < 0.6:
        said = {"content": rnd.choice((*TEXTS, None)), "role": "assistant"}
        return {"index": rnd.randrange(3), "message": said, "delta": said, "finish_reason": "stop"}
    return {
        "index": rnd.choice((0, 1, None, "0", [0], -1, 10**30, 0.0, True, leaf(rnd))),
        "message": rnd.choice((document(rnd), {"content": document(rnd)})),
        "delta": rnd.choice((document(rnd), {"content": leaf(rnd)}, None)),
        "finish_reason": rnd.choice(("stop", None, document(rnd))),
    }


def shaped(rnd, payload):
    """A document near to what the payload means."""
    if rnd.random() < 0.2:
        return document(rnd)
    if payload in ("v1", "mlflow", "tensorflow"):
        name = rnd.choice(("predictions", "predictions", "outputs", "instances", "inputs"))
        rows = [document(rnd) for _ in range(rnd.randrange(5))]
        columns = {rnd.choice(KEYS): rows, "b": [leaf(rnd) for _ in rows]}
        return {name: rnd.choice((rows, rows, columns, document(rnd)))}
    if payload == "open_inference_v2":
        name = rnd.choice(("outputs", "outputs", "inputs"))
        return {name: [tensor(rnd) for _ in range(rnd.randrange(4))]}
    if payload == "openai":
        return {"choices": [choice(rnd) for _ in range(rnd.randrange(4))]}
    return document(rnd)


def call_tensor(rnd):
    """Type, shape and values, mostly such that belong together."""
    datatype, n = rnd.choice(("FP32", "FP64", "INT64", "INT32", "BOOL", "BYTES")), rnd.randrange(5)
    shape = (
        [n, 3] if rnd.random() < 0.8 else rnd.choice(([n], [0, 2**62], [2**63, 2], [1] * 17, []))
    )
    if datatype == "BYTES":
        return datatype, shape, [rnd.choice(TEXTS) for _ in range(n * 3)]
    most = 2 if datatype == "BOOL" else 2**31
    return datatype, shape, [rnd.randrange(most) for _ in range(n * 3)]


def fields_of(rnd, depth=0):
    """A message of any fields."""
    inner = rnd.randbytes(rnd.randrange(9)) if depth > 3 else None
    return b"".join(
        protobuf.field(rnd.randrange(1, 12), rnd.choice((rnd.getrandbits(64), rnd.choice(TEXTS),
                       fields_of(rnd, depth + 1) if inner is None else inner)))
        for _ in range(rnd.randrange(5))
    )  # fmt: skip


def call(rnd, payload):
    """A message of gRPC inference near to what the payload means, or any message."""
    if rnd.random() < 0.2:
        return protobuf.framed(fields_of(rnd))
    names = [rnd.choice(KEYS) for _ in range(rnd.randrange(1, 4))]
    answer = rnd.random() < 0.7
    if payload == "tensorflow_grpc":
        return protobuf.predict({name: call_tensor(rnd) for name in names}, 1 if answer else 2)
    if rnd.random() < 0.3:
        raw = [rnd.randbytes(rnd.choice((4, 8, 12))) for _ in names]
        tensors = [(name, rnd.choice(("FP32", "INT8", "BF16", "BYTES")), [len(one) // 4])
                   for name, one in zip(names, raw, strict=True)]  # fmt: skip
        return protobuf.infer(*tensors, raw=raw, raw_field=6 if answer else 7)
    return protobuf.infer(*((name, *call_tensor(rnd)) for name in names))


def large_call(rnd):
    """Messages of up to 1 MiB that cost most for their size."""
    size = rnd.choice((2_000, 60_000, 1_000_000))
    few = min(size // 60, 20_000)
    many = [1] * min(size, 20_000)
    name = "k" * rnd.choice((1, 70, size // 4))
    return rnd.choice((
        lambda: protobuf.infer((name, "INT64", [len(many)], many)),
        lambda: protobuf.infer((name, "INT64", [few], [2**63] * few)),
        lambda: protobuf.infer((name, "FP64", [len(many) // 4, 4], many[: len(many) // 4 * 4])),
        lambda: protobuf.infer((name, "BYTES", [few], ["\udcff" * 12] * few)),
        lambda: protobuf.infer((name, "BYTES", [few], [""] * few)),
        lambda: protobuf.infer(*[("a", "BOOL", [1], [1])] * few),
        lambda: protobuf.infer((name, "UINT8", [len(many)]), raw=(bytes(len(many)),)),
        lambda: protobuf.predict({name: ("INT64", [1] * 15 + [len(many)], many)}),
        lambda: protobuf.predict({name: ("FP32", [len(many) // 4, 4], [0.5])}),
        lambda: protobuf.predict({name: ("BYTES", [few], ["\udcff" * 12] * few)}),
        lambda: protobuf.predict({str(n): ("INT64", [1], [n]) for n in range(few // 2)}),
        lambda: protobuf.predict({str(n): ("INT64", [20_000], [n]) for n in range(few // 6)}, 2),
        lambda: protobuf.framed(b"\x08\x01" * (size // 2)),
        lambda: protobuf.framed(protobuf.field(5, protobuf.field(5, b"\x18\x80" * (size // 2)))),
        lambda: protobuf.framed(b"\x2a\x00" * (size // 2)),
        lambda: protobuf.framed(b"\xff" * size),
    ))()  # fmt: skip


def written(rnd, payload):
    """Its bytes, sometimes as a stream."""
    if payload in CALLS:
        return call(rnd, payload)
    if payload == "openai" and rnd.random() < 0.5:
        events = [json.dumps(shaped(rnd, payload)).encode() for _ in range(rnd.randrange(5))]
        events += [b"[DONE]"] * rnd.randrange(2)
        return b"".join(b"data: " + event + b"\n\n" for event in events)
    if payload == "csv" and rnd.random() < 0.9:
        return separated(rnd)
    lines = rnd.choice((1, 1, 3)) if payload == "json" else 1
    texts = (json.dumps(shaped(rnd, payload), ensure_ascii=rnd.random() < 0.9)
             for _ in range(lines))  # fmt: skip
    return "\n".join(texts).encode("utf-8", "surrogatepass")


def separated(rnd):
    """Lines of values, often as many in each."""
    width = rnd.randrange(1, 5)
    ends = rnd.choice(("\n", "\r\n", "\r", "\n\n"))
    lines = [",".join(str(leaf(rnd)) for _ in range(width)) for _ in range(rnd.randrange(5))]
    names = ",".join(rnd.choice(KEYS) for _ in range(width))
    return ends.join((names, *lines)).encode("utf-8", "surrogatepass")


def large(rnd):
    """Texts of up to 1 MiB that cost most for their size."""
    size = rnd.choice((2_000, 60_000, 1_000_000))
    key = b"k" * (size // 4)
    n = size // 3
    inner = rnd.choice((
        b"[" + b"[]," * n + b"[]]", b"[" + b"{}," * n + b"{}]", b"[" * n + b"]" * n,
        b"[" * 39 + b"1" + b"]" * 39, b'["' + b"," * size + b'"]',
        b'["' + b"\\ud800" * (size // 6) + b'"]', b'"' + b'\\"' * (size // 2), b'"' * size,
        b"[1" + b"0" * size + b"]", b"[" + b",".join([b"0.1"] * min(n, 20_000)) + b"]",
        b"[" + b",".join([b"9" * 400] * (size // 401)) + b"]",
        '["😀'.encode() + b"a" * size + b'"]',
        b"{" + b",".join(b'"k%d\\ud800":1' % i for i in range(min(size // 15, 24_000))) + b"}",
        b'{"' + key + b'":[' + b"0," * min(n // 2, 20_000) + b"0]}",
        b'{"' + key + b'":[' + b"[]," * min(n // 4, 20_000) + b"0]}",
        b"1,2\n" * (size // 4), b'"' + b'""' * (size // 2) + b'"', b"a,b\n" + b"1,2\n" * (n // 4),
        b"{}\n" * n, b"data: {}\n\n" * (size // 10), b"\n" * size, b"data:\n" * (size // 6),
    ))  # fmt: skip
    wrap = rnd.choice((
        b"%b", b'{"predictions":%b}', b'{"predictions":[%b]}',
        b'{"outputs":[{"name":"a","shape":[3],"data":%b}]}', b'{"instances":%b}',
        b'{"inputs":{"a":%b}}', b'{"dataframe_records":%b}',
        b'{"dataframe_split":{"columns":["a","b"],"data":%b}}',
        b'{"inputs":[{"name":"a","shape":[3],"data":%b}]}',
        b'{"outputs":[{"name":"' + key + b'","shape":[2000,10],"data":%b}]}',
        b'{"choices":[{"index":0,"message":{"content":%b},"finish_reason":"stop"}]}',
    ))  # fmt: skip
    return wrap.replace(b"%b", inner)


def damaged(rnd, body):
    chance = rnd.random()
    if chance < 0.05:
        return gzip.compress(body, 1)
    if chance < 0.08:
        return gzip.compress(body, 1)[: rnd.randrange(20, 200)]
    if chance < 0.12:
        return body[: rnd.randrange(len(body) + 1)]
    if chance < 0.15 and body:
        place = rnd.randrange(len(body))
        return body[:place] + rnd.randbytes(rnd.randrange(1, 4)) + body[place + 1 :]
    if chance < 0.16:
        return rnd.randbytes(rnd.randrange(40))
    return body


def body_of(rnd, payload, share_large=0.004):
    if rnd.random() < share_large:
        return damaged(rnd, large_call(rnd) if payload in CALLS else large(rnd))
    body = written(rnd, payload)
    return damaged(rnd, body)


class Broken(Exception):  # noqa: N818 - it is what the input has done
    """An input that breaks the rule."""


def once(job):
    """Whether ``job`` was readable; its CPU time in seconds."""
    began = time.process_time()
    try:
        job()
    except Unreadable as why:
        str(why).encode()
        readable = False
    else:
        readable = True
    return readable, time.process_time() - began


def bounded(job, body, cost):
    """Run ``job`` and hold it against the bounds."""
    readable, took_s = once(job)
    if took_s > CPU_S_MAX:
        took_s = min(took_s, *(once(job)[1] / pace() for _ in range(6)))
    cost["cpu_s"] = max(cost["cpu_s"], took_s)
    if took_s > CPU_S_MAX:
        raise Broken(f"{took_s * 1e3:.0f} ms of CPU")
    if len(body) > 50_000 or body.startswith(b"\x1f\x8b"):
        tracemalloc.start()
        once(job)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        cost["memory"] = max(cost["memory"], peak)
        if peak > MEMORY_MAX:
            raise Broken(f"{peak / 2**20:.1f} MiB")
    return readable


COMPARES = (
    Compare(),
    Compare(top_k=2),
    Compare(score="a"),
    Compare(decide_on=("a",), ignore=("b",), relative="5%", absolute=0.1, redact=("score",),
            noise="10%", noise_pairs=20, segment={"header": "X-C"}),
    Compare(score="predictions", top_k=3, top_k_overlap="50%"),
)  # fmt: skip


def coding(body):
    return "gzip" if body.startswith(b"\x1f\x8b") else ""


def plain(body):
    try:
        return unpacked(body, coding(body))
    except Beyond as why:
        raise Unreadable(str(why)) from why


def answered(payload, body):
    try:
        return PAYLOADS[payload].read(plain(body))
    except Beyond as why:
        raise Unreadable(str(why)) from why


def sample(rnd, number, first, second):
    return PairSample(
        route="r", version=rnd.choice(("v2", "v2", "v1")), primary=rnd.choice(("v1", "v1", "v2")),
        revision=1, request_id=f"q-{number}", primary_status=200,
        shadow_status=200, primary_body=first, shadow_body=second, primary_s=0.1, shadow_s=0.1,
        primary_coding=rnd.choice((coding(first), coding(first), "br", "zstd")),
        shadow_coding=rnd.choice((coding(second), coding(second), "deflate", "lz4")),
        nonce=rnd.getrandbits(60), segment=rnd.choice(("de", "\xff", "x" * 200)),
    )  # fmt: skip


DECLARED = (
    Declared(label="a", score="score", id="id", features=(("user", "auto"), ("a.b", "numeric"))),
    Declared(label="predictions", score="outputs.a[1]", features=(("[0]", "auto"),)),
    Declared(label="a[].b", score="choices[].message.content", features=(("a[0]", "auto"),)),
    Declared(score="data", features=tuple((f"a.b[{n}]", "numeric") for n in range(64))),
)  # fmt: skip


def rows_of(reads, payload, body, declared):
    """Rows of a body, as an answer's or as a request's, with all that is made of their values."""
    try:
        found = reads(payload, plain(body), declared)
    except Beyond as why:
        raise Unreadable(str(why)) from why
    assert len(found) <= ROWS_MAX
    for row in found:
        for value in (row.label, row.score, row.id, *row.features.values()):
            class_of(value).encode()
            number_of(value)


def answers(payload, each, seed):
    """Answers of one payload: read, then compared with another in a book."""
    rnd = random.Random(f"{payload} {seed}")
    cost, seen = {"cpu_s": 0.0, "memory": 0}, Counter()
    books = [ShadowBook(Terms("v1", "v2", compare, payload)) for compare in COMPARES]
    before = b"{}"
    for number in range(each):
        body = body_of(rnd, payload)
        with_place = f"payload {payload}, input {number} of seed {seed}: {body[:300]!r}"
        try:
            readable = bounded(partial(answered, payload, body), body, cost)
            seen["answers" if readable else "unreadable"] += 1
            declared = rnd.choice(DECLARED)
            for reads in (answer_rows, request_rows):
                job = partial(rows_of, reads, payload, body, declared)
                bounded(job, body, cost)
            book = rnd.choice(books)
            one = sample(rnd, number, before if rnd.random() < 0.8 else body, body)
            finding = judged_by(book, one)
            book.add(one, finding, 1.0)
            if number % 100 == 0:
                text = json.dumps(as_told(book), allow_nan=False, ensure_ascii=False)
                msgspec.json.encode(text.encode())
                snapshot = json.dumps(book.snapshot(), allow_nan=False, ensure_ascii=False)
                ShadowBook(book.terms).restore(json.loads(snapshot.encode()))
        except Exception as error:
            raise Broken(f"{with_place}: {error!r}\n{traceback.format_exc()}") from error
        if len(body) < 2_000:
            before = body
    return seen, cost


WANTED = tuple(
    ValueEntry(path, MatchKind.EXACT, "1")
    for path in ("user.id", "a", "outputs.0.name", "a.99999999999")
)  # fmt: skip


def requests(_payload, each, seed):
    """Bodies where a route looks into them, and orders of the admin interface."""
    rnd = random.Random(f"requests {seed}")
    cost, seen = {"cpu_s": 0.0, "memory": 0}, Counter()

    def looked_into(body):
        document = BodyDocument(body)
        key = document.field("user.id")
        if key is not None:
            key.encode()
        for one in WANTED:
            body_matches((one,), document)

    def ordered(body):
        json.dumps(read(body, STRICT), allow_nan=False).encode()

    for number in range(each):
        body = body_of(rnd, rnd.choice(tuple(PAYLOADS)))
        if rnd.random() < 0.3:
            body = json.dumps({"user": {"id": leaf(rnd)}, "a": leaf(rnd)}).encode()
        try:
            for job in (looked_into, ordered):
                readable = bounded(lambda job=job, body=body: job(body), body, cost)
                seen["read" if readable else "unreadable"] += 1
        except Exception as error:
            text = f"request {number} of seed {seed}: {body[:300]!r}: {error!r}"
            raise Broken(f"{text}\n{traceback.format_exc()}") from error
    return seen, cost


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=20_000, help="inputs of every kind")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(argv)
    assert ANSWER.bytes_max <= MEMORY_MAX
    for kind in (*PAYLOADS, "requests"):
        began = time.monotonic()
        run = requests if kind == "requests" else answers
        try:
            seen, cost = run(kind, told.each, told.seed)
        except Broken as why:
            print(why)
            return 1
        counts = ", ".join(f"{n:,} {what}" for what, n in sorted(seen.items()))
        print(
            f"{kind:18} seed {told.seed}: {counts}; at most {cost['cpu_s'] * 1e3:.1f} ms of CPU, "
            f"{cost['memory'] / 2**20:.1f} MiB; {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
