"""The two payloads without a protocol: any JSON, and bytes."""

from __future__ import annotations

import xxhash

from router.core.payloads.answer import Answer, answer_of, document


class Json:
    """Any JSON document, leaf by leaf."""

    def read(self, body: bytes) -> Answer:
        """Every leaf under its dotted path."""
        return answer_of(document(body))


class Opaque:
    """Bytes: two answers are equal or they are not."""

    def read(self, body: bytes) -> Answer:
        """A digest of the body as its only leaf."""
        return Answer({"body": xxhash.xxh64_hexdigest(body)})
