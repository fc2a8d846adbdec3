"""Receipts: what goes in comes out, and nothing else does."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.core.wire.receipt import (
    RECEIPT_CHARS_MAX,
    BadReceipt,
    Chosen,
    Receipt,
    Seal,
    mark_of,
    opened,
    route_of,
)
from tests.receipts import sealed

SECRET = "a-secret-of-some-length"
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
receipts = st.builds(
    Receipt,
    route=names,
    version=names,
    revision=st.integers(0, 10**9),
    weight_bp=st.integers(0, 10_000),
    arm=st.sampled_from(Chosen),
    issued=st.integers(0, 2**40),
    unit=st.integers(0, 2**64 - 1),
    nonce=st.integers(0, 2**64 - 1),
)


@given(receipts)
@settings(max_examples=30)
def test_a_receipt_comes_back_as_it_was_given(receipt):
    text = sealed(receipt, SECRET)
    assert len(text) <= RECEIPT_CHARS_MAX
    assert route_of(text) == receipt.route
    assert opened(text, SECRET) == receipt
    assert 0 <= mark_of(text) < 2**64


@given(receipts, st.data())
@settings(max_examples=40)
def test_a_receipt_that_was_touched_anywhere_is_refused(receipt, data):
    text = sealed(receipt, SECRET)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    touched = text[:place] + other + text[place + 1 :]
    if touched != text:
        with pytest.raises(BadReceipt):
            opened(touched, SECRET)


@given(receipts)
@settings(max_examples=30)
def test_another_secret_opens_nothing(receipt):
    with pytest.raises(BadReceipt, match="not ours"):
        opened(sealed(receipt, SECRET), SECRET + "x")


@pytest.mark.parametrize(
    "text", ["", ".", "........", "a/b", "x" * 5_000, "é" * 20, "a.b.c.d.e.f.g.h/i", "." * 7 + "/"]
)
def test_what_is_no_receipt_is_refused_before_anything_is_computed(text):
    with pytest.raises(BadReceipt):
        route_of(text)


@given(receipts, st.text("v", min_size=1, max_size=63))
@settings(max_examples=30)
def test_a_hidden_receipt_comes_back_and_says_nothing_before(receipt, version):
    text = sealed(receipt, SECRET, hidden=True)
    assert len(text) <= RECEIPT_CHARS_MAX
    assert route_of(text) == receipt.route
    assert opened(text, SECRET) == receipt
    other = receipt._replace(version=version, arm=Chosen.FORCED, unit=1, weight_bp=7)
    assert len(sealed(other, SECRET, hidden=True)) == len(text)
    with pytest.raises(BadReceipt):
        opened(text[:-1] + "x", SECRET)
    with pytest.raises(BadReceipt):
        opened(text, SECRET + "x")


def test_a_seal_makes_what_is_sealed_whoever_asks():
    """The bytes that `hmac` makes: those given out before must open for as long as labels come."""
    made = Receipt("r", "v2", 7, 500, Chosen.CANDIDATE, 0x6A0B1C2D, 0xABCDEF, 0x1234)
    content = "6a0b1c2d.7.1f4.c.abcdef.1234.r/v2"
    mac = hmac.digest(SECRET.encode(), content.encode(), "sha256").hex()[:32]
    assert sealed(made, SECRET) == f"{mac}.{content}"
    seal = Seal("r", 7, 500, SECRET, hidden=True)
    for version in ("v2", "v1", "v2"):
        text = seal.text(version, Chosen.CANDIDATE, 0x6A0B1C2D, 0xABCDEF, 0x1234)
        assert opened(text.decode(), SECRET) == made._replace(version=version)
        assert version.encode() not in text
    key = hmac.digest(SECRET.encode(), b"receipts are encrypted with this", "sha256")
    stream = b"".join(hmac.digest(key, b"%x.%x" % (0x1234, n), "sha256") for n in range(8))
    mixed = bytes(a ^ b for a, b in zip(content.ljust(256).encode(), stream, strict=True))
    closed = base64.urlsafe_b64encode(mixed).rstrip(b"=").decode()
    assert sealed(made, SECRET, hidden=True).endswith(f".~.6a0b1c2d.{0x1234:016x}.{closed}...r/-")
