"""Codings of answers: the usual ones are read, within bounds; the others are nobody's fault."""

from __future__ import annotations

import contextlib
import gzip
import random
import tracemalloc
import zlib

import brotli
import pytest
from backports import zstd

from router.core.payloads import Beyond, Unreadable, unpacked
from router.core.payloads.codings import MEMBERS_MAX, PLAIN_BYTES_MAX


def raw_deflate(data):
    deflating = zlib.compressobj(wbits=-15)
    return deflating.compress(data) + deflating.flush()


PACK = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "": bytes,
    "identity": bytes,
}
TEXT = b'{"predictions": [0.25, 0.75]}' * 40
CODED = [name for name in PACK if name not in ("", "identity")]


@pytest.mark.parametrize("coding", PACK)
def test_what_was_packed_is_read(coding):
    assert unpacked(PACK[coding](TEXT), coding) == TEXT
    assert unpacked(PACK[coding](b""), coding) == b""
    assert unpacked(PACK[coding](TEXT), f" {coding.upper()} ") == TEXT


def test_deflate_without_its_header_as_some_servers_send_it():
    assert unpacked(raw_deflate(TEXT), "deflate") == TEXT


@pytest.mark.parametrize("outer", CODED)
@pytest.mark.parametrize("inner", CODED)
def test_one_within_another(inner, outer):
    body = PACK[outer](PACK[inner](TEXT))
    assert unpacked(body, f"{inner}, {outer}") == TEXT
    assert unpacked(body, f"{inner},identity,{outer}") == TEXT


@pytest.mark.parametrize("coding", CODED)
def test_a_bomb_is_bounded_while_it_is_unpacked(coding):
    more = {"quality": 1} if coding == "br" else {}  # the best takes four seconds
    bomb = PACK[coding](bytes(100 * 1024 * 1024), **more)
    tracemalloc.start()
    with pytest.raises(Beyond):
        unpacked(bomb, coding)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * PLAIN_BYTES_MAX
    assert unpacked(PACK[coding](b"a" * 100), coding, 100) == b"a" * 100
    with pytest.raises(Beyond):
        unpacked(PACK[coding](b"a" * 101), coding, 100)


@pytest.mark.parametrize("coding", ["lz4", "compress", "aes128gcm", "GZIP2", "gzip, gzip, gzip"])
def test_an_unknown_coding_is_nobody_s_fault(coding):
    with pytest.raises(Beyond):
        unpacked(TEXT, coding)


@pytest.mark.parametrize("coding", CODED)
def test_what_no_client_can_read_is_unreadable(coding):
    packed = PACK[coding](TEXT)
    for body in (b"", b"{}", TEXT, packed[:-1], packed[: len(packed) // 2], b"\xff" * 40):
        with pytest.raises(Unreadable):
            unpacked(body, coding)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_are_read_one_after_another_but_not_for_ever(coding):
    assert unpacked(PACK[coding](b"a") * MEMBERS_MAX, coding) == b"a" * MEMBERS_MAX
    with pytest.raises(Beyond):
        unpacked(PACK[coding](b"") * (MEMBERS_MAX + 1), coding)


@pytest.mark.parametrize("coding", CODED)
def test_whatever_bytes_come_it_is_one_of_the_three(coding):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    packed = PACK[coding](TEXT)
    for _ in range(300):
        body = bytearray(packed)
        for _ in range(rng.randint(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        cut = bytes(body[: rng.randint(0, len(body))]) + rng.randbytes(rng.randint(0, 3))
        with contextlib.suppress(Beyond, Unreadable):
            assert len(unpacked(cut, coding, 10_000)) <= 10_000
