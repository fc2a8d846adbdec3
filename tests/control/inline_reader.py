"""A reader without a process: the same code, the same bytes on the way, answers when asked for."""

from __future__ import annotations

from router.control.fleet.reader import ReaderProcess
from router.link.frames import Frames
from router.link.reading import KINDS, encode
from router.reader.clerk import Clerk
from router.reader.process import ReaderLoop


class InlineReader(ReaderProcess):
    """What is sent waits; :meth:`pump` answers it. ``up`` is whether there is a process."""

    def __init__(self):
        super().__init__()
        self.reader, self.decoder, self.sent, self.up = ReaderLoop(), Frames(KINDS), [], True

    @property
    def ready(self):
        return self.up

    def send(self, message, *, answered=False):
        if self.up:
            self.sent += self.decoder.feed(encode(message))
        return self.up

    def pump(self, most=10**9):
        """Answer up to ``most`` messages; whether there were any."""
        had = bool(self.sent)
        while self.sent and most:
            most -= 1
            found = self.reader.answer(self.sent.pop(0))
            if found is not None:
                (found,) = self.decoder.feed(encode(found))
                self._receive(found)
        return had

    def die(self):
        """End with everything that was sent."""
        self.sent.clear()
        self.reader, self.up = ReaderLoop(), False
        for lose in self.on_lost:
            lose()

    def rise(self):
        """The next one."""
        self.up = True
        for begin in self.on_ready:
            begin()


class LogReader(InlineReader):
    """With the log, and in virtual time."""

    def __init__(self, clock):
        super().__init__()
        self.reader.clerk = Clerk(clock=clock.wall)

    def pump(self, most=10**9):
        """Answer everything, and say what is due."""
        while self.sent:
            self._hear(self.reader.said(self.sent.pop(0)))
        self._hear(self.reader.due())

    def _hear(self, said):
        for message in self.decoder.feed(said) if said else ():
            self._receive(message)
