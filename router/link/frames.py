"""Messages as bytes: a length of four bytes, one byte for the kind, a MessagePack body.

Both ends of a link are processes of one program and one version, so there is no compatibility to
keep, but everything is validated: a torn message must never become half a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

MESSAGE_BYTES_MAX: Final = 67_108_864
"""A longer message is a broken peer; 1,000 routes with 50 versions need about 10 MB."""

_encoder: Final = msgspec.msgpack.Encoder()

Spoken = TypeVar("Spoken")
"""The messages of one link."""


class LinkError(Exception):
    """The peer sent something that is no message; the connection is of no more use."""


class MessageKinds(Generic[Spoken]):
    """The messages that a process knows, each with its number, which is the kind byte.

    A number stays that of its message: replicas of two versions leave reports for each other.
    """

    def __init__(self, types: Mapping[int, type[Any]]) -> None:
        self.types = types
        self._numbers = {one: bytes((number,)) for number, one in types.items()}
        self._decoders: dict[int, msgspec.msgpack.Decoder[Any]] = {}
        """Made when the first such message comes: no process is sent all of them."""

    def __repr__(self) -> str:
        return f"<{len(self.types)} kinds of messages>"

    def encode(self, message: Spoken) -> bytes:
        """The bytes of one message, length first."""
        body = _encoder.encode(message)
        return (len(body) + 1).to_bytes(4, "big") + self._numbers[type(message)] + body

    def decode(self, kind: int, body: bytes) -> Spoken:
        """The message of this kind. Raises LinkError."""
        decoder = self._decoders.get(kind)
        if decoder is None:
            if kind not in self.types:
                raise LinkError(f"message of kind {kind}")
            decoder = self._decoders[kind] = msgspec.msgpack.Decoder(self.types[kind])
        try:
            return cast("Spoken", decoder.decode(body))
        except msgspec.MsgspecError as error:
            raise LinkError(str(error)) from error


class Frames(Generic[Spoken]):
    """Cuts a byte stream into messages, however it arrives."""

    def __init__(self, kinds: MessageKinds[Spoken]) -> None:
        self._kinds = kinds
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<Frames, {len(self._buffer)} bytes of the next one>"

    def feed(self, data: bytes) -> list[Spoken]:
        """The messages completed by ``data``. Raises LinkError on anything else."""
        self._buffer += data
        messages: list[Spoken] = []
        while len(self._buffer) >= 5:
            length = int.from_bytes(self._buffer[:4], "big")
            if not 1 <= length <= MESSAGE_BYTES_MAX:
                raise LinkError(f"message of {length} bytes")
            if len(self._buffer) < 4 + length:
                break
            body = bytes(self._buffer[5 : 4 + length])
            messages.append(self._kinds.decode(self._buffer[4], body))
            del self._buffer[: 4 + length]
        return messages
