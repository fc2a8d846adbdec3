"""Signatures are those of ``hmac``, byte for byte."""

import hmac

from hypothesis import given, settings
from hypothesis import strategies as st

from router.core.signature import Signer, derived, signer


@given(st.binary(max_size=200), st.binary(max_size=300))
@settings(max_examples=60)
def test_a_signature_is_the_hmac_of_its_message(key, message):
    one = Signer(key)
    for _ in range(2):  # a message leaves nothing behind
        assert one.digest(message) == hmac.digest(key, message, "sha256")


def test_signers_are_kept_by_secret_and_purpose():
    assert signer("a") is signer("a") is not signer("b")
    key = hmac.digest(b"a", b"x", "sha256")
    assert derived("a", b"x").digest(b"m") == hmac.digest(key, b"m", "sha256")
    assert derived("a", b"x") is not derived("a", b"y")
