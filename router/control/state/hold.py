"""Who holds a store file, and how far it was written.

Two locks (``flock``; the kernel drops them with the process): on ``FILE.lock``, where a successor
can wait and read who holds it, and on the file itself, which keeps a second router out although
somebody deleted the lock file.

The *sequence* counts the transactions of a store. It is in the file, and after each commit in
``FILE.sequence`` and ``FILE.lock``. SQLite takes a write-ahead log that was lost, truncated or is
of another day for a store that never knew better; here the file then knows less than what is kept
beside it, and is refused. Beside the file the number is never ahead of the disk: it is written
after the commit. A start is a transaction too: its sequence is the *term* in which that router
holds the store, later than every one before, also after an older copy was put in the place.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from router.control.state.errors import StoreDamaged, StoreLocked

MODE: Final = 0o600
"""Of every file of a store, whatever the umask: reasons, evidence and names are nobody else's."""

MARK_BYTES: Final = 96
"""Room for a process id, a store's id and a sequence; always written whole."""

SUFFIXES: Final = ("", "-wal", "-shm")
"""The files that SQLite makes."""


@dataclass(frozen=True, slots=True)
class HoldMark:
    """Which store, and how many transactions it has seen."""

    store: str
    """16 hex digits, made with the store."""
    sequence: int

    @classmethod
    def parsed(cls, text: str) -> HoldMark | None:
        """From ``PID ID SEQUENCE``; None for anything else, as of an earlier router."""
        parts = text.split()
        if len(parts) != 3 or not parts[2].isdecimal():
            return None
        return cls(parts[1], int(parts[2]))


class Hold:
    """See the module. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fds: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Hold of {self.path}: {', '.join(self._fds) or 'nothing'}>"

    def beside(self, suffix: str) -> Path:
        """``FILE.suffix``."""
        return self.path.with_name(self.path.name + suffix)

    async def take(self, wait_s: float) -> None:
        """Both locks, once whoever has them lets go. Raises StoreLocked, StoreDamaged."""
        if not self.path.parent.is_dir():
            raise StoreDamaged(
                f"store: {self.path}: there is no folder {self.path.parent.absolute()}; "
                "make it, or name another file (`store: sqlite:///FILE`)"
            )
        waiting = _opened(self.beside(".next"))
        deadline = time.monotonic() + wait_s
        try:
            while not self._try():
                _locked(waiting)  # tells the present router that it may hand its work over
                if time.monotonic() >= deadline:
                    self._refuse()
                await asyncio.sleep(0.05)
        finally:
            os.close(waiting)

    def take_now(self) -> None:
        """Both locks, or StoreLocked at once."""
        if not self._try():
            self._refuse()

    def _refuse(self) -> NoReturn:
        holder = self._holder()
        self.drop()
        raise StoreLocked(
            f"{self.path} is driven by another router (process {holder}); "
            "stop it first, or give this one a store of its own"
        )

    def _try(self) -> bool:
        if "lock" not in self._fds:
            self._fds["lock"] = _opened(self.beside(".lock"))
        if not _locked(self._fds["lock"]):
            return False
        return not self.path.exists() or self.claim()

    def claim(self) -> bool:
        """Lock the file itself, and keep it from others' eyes. Raises StoreDamaged."""
        for suffix in SUFFIXES:
            with contextlib.suppress(OSError):  # not there, or not ours
                self.beside(suffix).chmod(MODE)
        # SQLite's own locks are lost when any descriptor of the file is closed: this one stays
        # open until every connection is closed.
        if "file" not in self._fds:
            self._fds["file"] = _opened(self.path)
        if not _locked(self._fds["file"]):
            os.close(self._fds.pop("file"))
            return False
        return True

    def replaced(self) -> None:
        """Another file has taken the place: lock that one."""
        if (old := self._fds.pop("file", None)) is not None:
            os.close(old)
        self.claim()

    def held(self) -> bool:
        """Whether a router has the store now; looking takes and changes nothing."""
        for path in (self.beside(".lock"), self.path):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if not _locked(file.fileno()):
                    return True
        return False

    def _holder(self) -> str:
        said = os.pread(self._fds["lock"], MARK_BYTES, 0).decode(errors="replace").split()
        return said[0] if said and said[0].isdecimal() else "unknown"

    def known(self) -> HoldMark | None:
        """What is kept beside the file: the larger of the two; None where nothing is."""
        marks = [HoldMark.parsed(_text(self.beside(suffix))) for suffix in (".sequence", ".lock")]
        return max(filter(None, marks), key=lambda mark: mark.sequence, default=None)

    def keep(self, mark: HoldMark) -> None:
        """Write down what was committed. A full disk costs this guard, not the commit."""
        line = f"{os.getpid()} {mark.store} {mark.sequence}".ljust(MARK_BYTES - 1) + "\n"
        with contextlib.suppress(OSError, StoreDamaged):
            if "sequence" not in self._fds:
                self._fds["sequence"] = _opened(self.beside(".sequence"))
            for name in ("sequence", "lock"):
                os.pwrite(self._fds[name], line.encode(), 0)

    def drop(self) -> None:
        """Let go of everything; after every connection to the file is closed."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def successor(self) -> bool:
        """Whether another router waits in :meth:`take`; no where the disk does not let us look."""
        try:
            fd = _opened(self.beside(".next"))
        except StoreDamaged:
            return False
        try:
            return not _locked(fd)
        finally:
            os.close(fd)


def new_file(path: Path) -> None:
    """An empty file that only its owner reads. Raises StoreDamaged."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
    except OSError as error:
        raise StoreDamaged(f"{path}: cannot be created ({error.strerror})") from error


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise StoreDamaged(
            f"store: {path}: cannot be opened ({error.strerror}); let this user write in "
            f"{path.parent.absolute()}, or name another file (`store: sqlite:///FILE`)"
        ) from error


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(MARK_BYTES)
    except OSError:
        return ""
