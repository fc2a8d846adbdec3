"""Binary tensors say what the same numbers say as JSON, whatever the bytes are."""

from __future__ import annotations

import contextlib
import json
import random
import struct

import pytest

from router.core.foreign import Unreadable
from router.core.payloads import PAYLOADS

read = PAYLOADS["open_inference_v2"].read


def binary(*outputs):
    """An answer with (name, datatype, shape, values or bytes) outputs, as Triton writes it."""
    listed, behind = [], b""
    for name, datatype, shape, values in outputs:
        data = values if isinstance(values, bytes) else packed(datatype, values)
        listed.append({"name": name, "datatype": datatype, "shape": shape,
                       "parameters": {"binary_data_size": len(data)}})  # fmt: skip
        behind += data
    return json.dumps({"model_name": "m", "outputs": listed}).encode() + behind


def packed(datatype, values):
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(v)) + v for v in values)
    code = {"BOOL": "?", "UINT8": "B", "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f",
            "FP64": "d", "UINT64": "Q"}[datatype]  # fmt: skip
    return struct.pack(f"<{len(values)}{code}", *values)


def plain(*outputs):
    listed = [{"name": n, "datatype": t, "shape": s, "data": d} for n, t, s, d in outputs]
    return json.dumps({"outputs": listed}).encode()


@pytest.mark.parametrize(
    ("datatype", "values"),
    [("BOOL", [True, False]), ("UINT8", [0, 255]), ("INT32", [-1, 2**31 - 1]),
     ("INT64", [-(2**63), 5]), ("UINT64", [0, 2**64 - 1]), ("FP16", [0.5, -2.0]),
     ("FP32", [0.25, -1e10]), ("FP64", [0.1, 1e-300])],
)  # fmt: skip
def test_numbers(datatype, values):
    assert read(binary(("y", datatype, [2, 1], values))) == read(
        plain(("y", datatype, [2, 1], values))
    )


def test_texts_half_floats_and_a_mixture():
    texts = [b"on_time", b"", "spät".encode(), b'{"}"']
    body = binary(("label", "BYTES", [4], texts), ("p", "FP64", [1, 3], [0.1, 0.2, 0.7]))
    same = plain(("label", "BYTES", [4], [t.decode() for t in texts]),
                 ("p", "FP64", [1, 3], [0.1, 0.2, 0.7]))  # fmt: skip
    assert read(body) == read(same)
    assert read(body).vectors == {"p[0]": (0.1, 0.2, 0.7)}
    bf16 = struct.pack("<ff", 1.5, -2.0)
    halves = binary(("y", "BF16", [2], bf16[2:4] + bf16[6:8]))
    assert read(halves).leaves == {"y[0]": 1.5, "y[1]": -2.0}
    some = json.loads(plain(("y", "INT64", [1], [7])))
    document = json.loads(binary(("p", "FP64", [1], b"\0" * 8))[:-8])
    document["outputs"] = some["outputs"] + document["outputs"]
    assert read(json.dumps(document).encode() + b"\0" * 8).leaves == {"y[0]": 7, "p[0]": 0.0}


GOOD = binary(("y", "FP64", [2], [1.0, 2.0]))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (GOOD[:-1], "as many bytes"),
        (GOOD + b"x", "nothing behind"),
        (GOOD.replace(b"16}", b'"16"}'), "as many bytes"),
        (GOOD.replace(b"16}", b"-1}"), "as many bytes"),
        (GOOD.replace(b"16}", b"99999999999}"), "as many bytes"),
        (GOOD.replace(b"FP64", b"FP99"), "a known datatype"),
        (GOOD.replace(b'"FP64"', b"64"), "a known datatype"),
        (GOOD.replace(b"[2]", b"[3]"), "24 bytes"),
        (GOOD.replace(b"[2]", b"[90000]"), "at most"),
        (binary(("y", "BYTES", [2], packed("BYTES", [b"a"]))), "2 elements"),
        (binary(("y", "BYTES", [1], packed("BYTES", [b"a", b"b"]))), "1 elements"),
        (binary(("y", "BYTES", [1], b"\x05\0\0\0ab")), "whole elements"),
        (binary(("y", "BYTES", [1], b"\0\0")), "whole elements"),
        (binary(("y", "BF16", [2], b"\0" * 3)), "a known datatype"),
        (b'{"outputs": ["binary_data_size"' + b"{" * 70_000, "at most 25,000 values"),
        (b'} "binary_data_size"', "expected JSON"),
    ],
)
def test_what_does_not_add_up_is_unreadable(body, why):
    with pytest.raises(Unreadable, match=why):
        read(body)


def test_any_bytes_are_an_answer_or_unreadable():
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    texts = ("label", "BYTES", [2], [b"a", b"bc"])
    whole = binary(texts, ("p", "FP32", [2, 2], [0.5] * 4))
    for _ in range(3_000):
        damaged = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        with contextlib.suppress(Unreadable):
            read(bytes(damaged))
