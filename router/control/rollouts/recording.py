"""The recording: everything that the evidence was fed, so that every decision can be made again.

One JSON object a line, in the order in which things happened in the decider's loop:

    begin    an attempt begins (or the file does): policy, rollout, and the trial's whole state
    batch, measure, learn, reward           what its evidence took in
    abandon                                 a worker is gone, with what it had under way
    follow                                  that its rollout moved
    turn     the decider looked, which moves the clocks; `held`: what kept it from moving then
    decide   what was decided and why, with the journal's entry and the rollout afterwards
    gap      lines were lost; a `begin` of everything follows

Lines are made in the loop and written by a thread: a slow disk never delays a decision, it makes a
gap. Each line ends with a digest of itself and of the line before, so that a changed, missing or
moved line is found even where it changes no decision.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import queue
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from router.control.rollouts.lines import BeginLine, DecideLine, GapLine, RecordedLine, TurnLine
from router.control.rollouts.run import Live, Move, Run
from router.control.told.answers import EntryView
from router.core.policy.recording import RecordingPolicy
from router.core.rollout.events import Event
from router.core.rollout.rollout import Rollout
from router.loops import net, thread
from router.telemetry.log import get_logger

LINES_WAITING_MAX: Final = 10_000
"""Lines that wait for the disk; beyond, they are lost and the recording has a gap."""

DIGEST_CHARS: Final = 16

log = get_logger("router.control")


class Recording:
    """See the module. ``runs`` are all routes at work; ``now`` is always rollout clock seconds."""

    def __init__(self, runs: Callable[[], Iterable[Run]]) -> None:
        self._runs = runs
        self._policy: RecordingPolicy | None = None
        self._writer: Writer | None = None
        self._size = 0
        self._digest = ""
        self._lost = False

    def __repr__(self) -> str:
        return f"<Recording {self._policy.file if self._policy else 'off'}>"

    @property
    def error(self) -> str:
        """Why nothing is recorded although the policy wants it; empty otherwise."""
        return self._writer.error if self._writer else ""

    def use(self, policy: RecordingPolicy | None, now: float) -> None:
        """Record from now on as a policy says; None ends it."""
        if policy == self._policy:
            return
        self.close()
        self._policy = policy
        if policy is not None:
            self._writer = Writer(Path(policy.file), policy.keep)
            self._fresh_file(now)

    def close(self) -> None:
        """Write what is waiting, and stop."""
        self._policy = None
        for run in self._runs():
            if run.trial is not None:
                run.trial.tape = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # --- what the decider says ------------------------------------------------------------------

    def begun(self, run: Run, now: float) -> None:
        """A trial was made; from here on it tells what it is fed."""
        if self._writer is not None and (live := run.live):
            live.trial.tape = partial(self._line, run.route.name)
            self._begin(run, live, now)

    def tend(self, now: float) -> None:
        """Begin a new file where one is full or has a gap; called between two looks.

        In between, a trial has told of something that it has not taken in yet.
        """
        if self._policy is not None and (self._lost or self._size > self._policy.size):
            self._fresh_file(now, gap=self._lost)

    def turn(self, run: Run, rollout: Rollout, now: float, *, held: str | None) -> None:
        """The decider looked at ``rollout``; ``held``: what kept it from following the evidence."""
        if self._writer is not None:
            line = TurnLine(t=now, revision=rollout.revision, held=held)
            self._line(run.route.name, line)

    def decided(
        self, run: Run, before: Rollout | None, cause: Event | None, move: Move, now: float
    ) -> None:
        """A move was decided; ``cause`` None where the policy decided."""
        if self._writer is None:
            return
        rollout = move.record.rollout
        self._line(
            run.route.name,
            DecideLine(
                t=now, before=before.revision if before else None,
                cause=(type(cause).__name__, cause) if cause else None,
                entry=EntryView.like(move.entry), rollout=rollout.to_json() if rollout else None,
            ),
        )  # fmt: skip

    # --- lines ------------------------------------------------------------------------------------

    def _begin(self, run: Run, live: Live, now: float) -> None:
        ahead = run.pending.record.rollout if run.pending else None
        self._line(
            run.route.name,
            BeginLine(
                t=now, sticky=live.trial.settings.sticky, payload=run.route.payload,
                policy=msgspec.Raw(live.pinned.text.encode()),
                rollouts=[one.to_json() for one in (live.rollout, ahead) if one is not None],
                snapshot=live.trial.snapshot(),
            ),
        )  # fmt: skip

    def _line(self, route: str, line: RecordedLine) -> None:
        if self._writer is None or self._lost:
            return
        line.route = route
        content = msgspec.json.encode(line)
        self._digest = digest(self._digest, content)
        written = sealed(content, self._digest)
        if not self._writer.put(written):
            self._lost = True
            return
        self._size += len(written)

    def _fresh_file(self, now: float, *, gap: bool = False) -> None:
        """A file that can be replayed by itself: it begins with every trial's state."""
        if self._writer is not None:
            self._writer.rotate()
        self._size, self._digest, self._lost = 0, "", False
        if gap:
            self._line("", GapLine(t=now))
        for run in self._runs():
            self.begun(run, now)


def digest(before: str, content: bytes) -> str:
    """What ties a line to the one before it."""
    return hashlib.sha256(before.encode() + content).hexdigest()[:DIGEST_CHARS]


def sealed(content: bytes, its_digest: str) -> bytes:
    """A line: the object with its digest as the last key."""
    return b'%b,"digest":"%b"}\n' % (content[:-1], its_digest.encode())


def unsealed(line: bytes) -> tuple[bytes, str]:
    """The content and the digest of a line. Raises ValueError for any other text."""
    content, mark, rest = line.rstrip(b"\n").rpartition(b',"digest":"')
    if not mark or len(rest) != DIGEST_CHARS + 2 or not rest.endswith(b'"}'):
        raise ValueError("this is no line of a recording")
    return content + b"}", rest[:-2].decode()


class Writer:
    """A thread with the file. ``keep`` older files are kept beside it: FILE.1 is the newest."""

    def __init__(self, file: Path, keep: int) -> None:
        self.file = file
        self.error = ""
        self._keep = keep
        self._queue: queue.Queue[bytes | None] = queue.Queue(LINES_WAITING_MAX)
        self._thread = thread("recording", self._run, self._ended)

    def put(self, line: bytes) -> bool:
        """Hand over a line; False if too many are waiting."""
        if not self._thread.is_alive():
            return False
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            return False
        return True

    def rotate(self) -> None:
        """What follows goes into a new file. An empty line stands for it."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(b"")

    def close(self) -> None:
        """Write what waits and end the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        line = self._queue.get()
        while line is not None:
            following: bytes | None = b""
            with net("recording"):
                following = self._file(line)
            line = following if following != b"" else self._queue.get()

    def _ended(self) -> None:
        if self._queue.qsize():
            self.error = self.error or f"{self.file}: its writer has ended"

    def _file(self, line: bytes | None) -> bytes | None:
        """One file's lines; answers the line that ended it."""
        try:
            self._shift()
            with self.file.open("wb") as file:
                self.file.chmod(0o600)
                line = line or self._queue.get()
                while line:
                    file.write(line)
                    if self._queue.empty():
                        file.flush()
                    line = self._queue.get()
        except OSError as error:
            self._fail(error)
            while line:
                line = self._queue.get()
        return line

    def _fail(self, error: OSError) -> None:
        self.error = f"{self.file}: {error.strerror or error}"
        log.error("recording_failed", error=self.error)

    def _shift(self) -> None:
        if self.file.is_dir():  # which a rename would put aside like an older file
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not self.file.exists() or not self.file.stat().st_size:
            return
        for number in range(self._keep, 0, -1):
            older = self._older(number - 1)
            if older.exists():
                older.replace(self._older(number))
        if not self._keep:
            self.file.unlink()

    def _older(self, number: int) -> Path:
        return self.file.with_name(f"{self.file.name}.{number}") if number else self.file
