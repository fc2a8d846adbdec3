"""The reader: ``python -m router.reader.process``, started by control when answers are compared.

Reading an answer of a megabyte holds the interpreter for tens of milliseconds, in whatever thread
it is done, and foreign bytes find every weakness of a parser. So this happens in a process of its
own, below the others in the scheduler and within a bound of memory. It reports finished facts; when
it is slow, or gone, pairs are lost and counted, and no decision waits for them.

It waits on one socket and does one thing at a time, so it needs no event loop. It ends with the
link: control is gone then, or wants another one.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from router.config.payloads import payload
from router.core.pairs.comparison import Comparison
from router.core.pairs.rows import with_features
from router.core.predictions.facts import row_features
from router.link.frames import Frames, LinkError
from router.link.reading import (
    KINDS,
    CopyAnswer,
    Enter,
    Entered,
    Found,
    Logging,
    Look,
    Looked,
    Read,
    ReaderMessage,
    Reading,
    Reads,
    TellTruths,
    encode,
)
from router.reader.judged import told_of
from router.reader.samples import looked, missing, values

if TYPE_CHECKING:
    from router.core.wire.sampled import Sampled
    from router.reader.clerk import Clerk

NICENESS: Final = 5
"""Whoever decides or forwards goes first."""
MEMORY_BYTES_MAX: Final = 1 << 30
"""Address space; a reading beyond it fails alone."""
RECEIVE_BYTES: Final = 1 << 18


class ReaderLoop:
    """Answers pairs (:class:`Read`) and samples (:class:`Look`), as their route was told last."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}
        self._reads: dict[str, Reads] = {}
        self.clerk: Clerk | None = None
        """Of the prediction log, from the first word of it on: most readers hear none."""

    def __repr__(self) -> str:
        return f"<Reader of {len(self._readings)} routes>"

    def said(self, message: ReaderMessage) -> bytes:
        """The bytes of the answer, none without one; what cannot be written is a failed reading."""
        if isinstance(message, Logging | CopyAnswer | TellTruths):
            if self.clerk is None:
                self.clerk = _clerk()
            return self.clerk.said(message)
        found = self.answer(message)
        try:
            return encode(found) if found is not None else b""
        except Exception as error:  # noqa: BLE001 - as in `answer`
            assert isinstance(found, Found | Looked)  # noqa: S101 - there were foreign words in it
            return encode(type(found)(found.number, None, type(error).__name__))

    def answer(self, message: ReaderMessage) -> Found | Looked | Entered | None:
        """What a message is answered by. Whatever the bytes are, it does not raise."""
        if isinstance(message, Reading):
            self._readings[message.route] = message
        elif isinstance(message, Reads):
            self._reads[message.route] = message
        elif isinstance(message, Enter):
            for sample in message.samples:
                self._sampled(sample)
            return Entered(message.number)
        elif isinstance(message, Look):
            try:
                return self._looked(message)
            except Exception as error:  # noqa: BLE001 - as below
                return Looked(message.number, None, type(error).__name__)
        elif isinstance(message, Read):
            try:
                found = self._compare(message)
                told = told_of(message, self._readings[message.route]) if message.judged else None
                return Found(message.number, found, told=told)
            except Exception as error:  # noqa: BLE001 - a bug of ours, or of an installed payload
                return Found(message.number, None, type(error).__name__)
        return None

    def _sampled(self, sample: Sampled) -> None:
        if self.clerk is not None:
            sample.made = self.clerk.made(sample)
            self.clerk.sampled(sample)

    def _looked(self, message: Look) -> Looked:
        reads = self._reads[message.sample.route]
        payload(message.sample.payload or reads.payload)  # as in `_compare`
        sample = message.sample
        self._sampled(sample)
        return Looked(
            message.number, looked(sample, reads), watched=values(sample, reads),
            made=sample.made, missing=missing(sample, reads) if sample.made else None,
        )  # fmt: skip

    def _compare(self, message: Read) -> Comparison:
        reading = self._readings[message.route]
        kind = message.payload or reading.payload
        payload(kind)  # imports one of another package
        likeness = reading.likeness.read_by(reading.payload, kind)
        found = likeness.compare(
            kind, message.stable, message.other, reading.silenced, message.codings
        )
        if not (reading.by and found.rows):
            return found
        asked = row_features(message.request, message.request_coding, kind, reading.by)
        return replace(found, rows=with_features(found.rows, asked))

    @property
    def wait_s(self) -> float | None:
        """Within which something is to be done, whatever is told; None: nothing is."""
        return None if self.clerk is None else self.clerk.wait_s

    def due(self) -> bytes:
        """What it has to say by itself now."""
        return b"" if self.clerk is None else self.clerk.due()

    def close(self) -> None:
        """Write what waits for a stroke, and let go of the log."""
        if self.clerk is not None:
            self.clerk.close()


def _clerk() -> Clerk:
    from router.reader.clerk import Clerk  # noqa: PLC0415 - 2 MB that few readers need

    return Clerk()


def serve(link: socket.socket) -> None:
    """Read until the link ends."""
    reader, decoder = ReaderLoop(), Frames(KINDS)
    with (
        contextlib.closing(reader),
        contextlib.suppress(LinkError, OSError),  # the other end is gone or broken: so are we
    ):
        while True:
            wait_s = reader.wait_s
            if wait_s is not None and not select.select([link], [], [], wait_s)[0]:
                data = b""
            elif not (data := link.recv(RECEIVE_BYTES)):
                return
            told = bytearray()  # one answer for what came together: each wakes the decider
            for message in decoder.feed(data):
                told += reader.said(message)
                if len(told) > RECEIVE_BYTES:
                    link.sendall(told)
                    told.clear()
            if told:
                link.sendall(told)
            if said := reader.due():
                link.sendall(said)


def main(argv: list[str] | None = None) -> None:
    """The command of the reader's process: ``--link-fd N``, read without a library of 0.5 MB."""
    _, fd = sys.argv[1:] if argv is None else argv
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C: only control decides
    os.nice(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MEMORY_BYTES_MAX if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    link = socket.socket(fileno=int(fd))
    link.setblocking(True)
    with link:
        serve(link)


if __name__ == "__main__":
    main()
