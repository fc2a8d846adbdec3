"""The gRPC service that Envoy's filter calls: ``ext_proc`` over HTTP/2, one stream a request.

Nothing is ever said to Envoy but that a stream is over. Whatever comes ends a stream or, where it
is no HTTP/2, its connection: never the agent. What is kept of it, and how much, is the desk's
business (:mod:`router.agent.samples`); here at most one message a stream waits for its rest.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from router.agent.passing import passed
from router.agent.servers import gone
from router.core.foreign import Unreadable
from router.core.payloads.protobuf import PREFIX_BYTES
from router.loops import net

if TYPE_CHECKING:
    from router.agent.samples import Passage, SampleDesk

MESSAGE_BYTES_MAX: Final = 1_114_112
"""Of one message: a piece of a body, which Envoy cuts, or a head."""
OVER: Final = ((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0"))


class SampleStreams(asyncio.Protocol):
    """One connection of an Envoy's thread."""

    def __init__(self, desk: SampleDesk) -> None:
        self._desk = desk
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=False, header_encoding=None, validate_inbound_headers=False
            )
        )
        self._open: dict[int, tuple[Passage, bytearray]] = {}
        """By stream: what it tells of, and the beginning of a message."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._desk.readers.add(self)
        self._h2.initiate_connection()
        self._send()
        if self._desk.full:
            self.pause()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Part of asyncio.Protocol: what was under way is cut."""
        self._desk.readers.discard(self)
        for stream in list(self._open):
            self._over(stream)

    def pause(self) -> None:
        """Read nothing for now; Envoy keeps what is under way and tells of nothing more."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        try:
            events = self._h2.receive_data(data)
        except (h2.exceptions.ProtocolError, ValueError, LookupError):
            self._abort()
            return
        for event in events:
            with net("samples"):
                self._take(event)
        try:
            self._send()
        except h2.exceptions.ProtocolError:
            self._abort()
        if self._desk.full:
            self._desk.pause()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            passage = self._desk.begin()
            if passage is not None and event.stream_id is not None:
                self._open[event.stream_id] = passage, bytearray()
            else:
                self._end(event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            if size := event.flow_controlled_length:
                self._h2.acknowledge_received_data(size, event.stream_id)
            if event.stream_id in self._open:
                self._more(event.stream_id, event.data or b"")
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            self._over(event.stream_id)
            if isinstance(event, h2.events.StreamEnded):
                self._end(event.stream_id)

    def _more(self, stream: int, data: bytes) -> None:
        passage, begun = self._open[stream]
        begun += data
        self._desk.held += len(data)
        try:
            wanted = self._messages(passage, begun)
        except Unreadable:
            passage.cut = "body"
            wanted = False
        if not wanted or passage.ended:
            self._over(stream)
            self._end(stream)

    def _messages(self, passage: Passage, begun: bytearray) -> bool:
        """Take whole messages; False: the rest is of no use. Raises Unreadable."""
        while len(begun) >= PREFIX_BYTES:
            end = PREFIX_BYTES + int.from_bytes(begun[1:PREFIX_BYTES], "big")
            if begun[0] or end > MESSAGE_BYTES_MAX:
                raise Unreadable("expected a message of gRPC, not compressed")
            if len(begun) < end:
                break
            message = bytes(begun[PREFIX_BYTES:end])
            del begun[:end]
            self._desk.held -= end
            told = passed(message)
            if told is not None and not self._desk.take(passage, told):
                return False
        return self._desk.has_room(passage)

    def _over(self, stream: int | None) -> None:
        """Envoy tells nothing more of it, or need not."""
        if stream is not None and (found := self._open.pop(stream, None)) is not None:
            passage, begun = found
            self._desk.held -= len(begun)
            self._desk.over(passage)

    def _end(self, stream: int | None) -> None:
        """Say that it is over; one that Envoy has given up already needs no word."""
        try:
            if stream is not None:
                self._h2.send_headers(stream, OVER, end_stream=True)
        except h2.exceptions.ProtocolError:
            pass

    def _send(self) -> None:
        if self._transport is not None and (data := self._h2.data_to_send()):
            self._transport.write(data)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def read_samples(path: Path, desk: SampleDesk) -> asyncio.AbstractServer:
    """Hear what Envoy tells of sampled requests. Raises OSError."""
    gone(path)
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: SampleStreams(desk), str(path))
