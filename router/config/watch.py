"""Whether a policy file has changed, by content.

Modification times and inotify both miss changes in practice: a Kubernetes ConfigMap is swapped by
a symbolic link whose target's times need not move and under which a watch is silently deleted, and
bind mounts and NFS behave in ways of their own. Hashing a few kilobytes a second costs nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple, Self

from router.config.check import LoadedPolicy, load
from router.config.expand import FILE_BYTES_MAX, REFERENCE
from router.config.files import read_at_most
from router.config.named_files import digest, needed, servable
from router.config.source import SIZE_BYTES_MAX

POLL_INTERVAL_S = 1.0
"""How often the content is looked at."""


def fingerprint(path: str | Path) -> str:
    """A digest of the file and of the files that its ``${file:...}`` references name.

    It is made without parsing, also of a broken file, so an edit that is still wrong is reported
    once and not every second. A file that cannot be read has a fingerprint of its own.
    """
    digest = hashlib.sha256()
    try:
        data = read_at_most(path, SIZE_BYTES_MAX + 1)
    except OSError as error:
        return f"unreadable: {error.strerror or error}"
    digest.update(data)
    for found in REFERENCE.finditer(data.decode(errors="replace")):
        if found[1] is not None and found[1].startswith("file:"):
            digest.update(_included(Path(path).parent / found[1].removeprefix("file:")))
    return digest.hexdigest()


def _included(path: Path) -> bytes:
    try:
        return b"\0" + hashlib.sha256(read_at_most(path, FILE_BYTES_MAX + 1)).digest()
    except OSError:
        return b"\0"


class Place(NamedTuple):
    """Which file a path leads to."""

    real: str
    device: int
    inode: int

    @classmethod
    def of(cls, path: str | Path) -> tuple[Self | None, bool]:
        """Where it is, and whether it was renamed to there after its last write.

        A rename changes the time of the inode, not that of the content; whoever makes a file anew
        and writes it (`git checkout`) leaves both alike.
        """
        try:
            real = Path(path).resolve(strict=True)
            found = real.stat()
        except (OSError, RuntimeError):
            return None, False
        place = cls(str(real), found.st_dev, found.st_ino)
        return place, found.st_ctime_ns > found.st_mtime_ns


class FileWatch:
    """Remembers which content was looked at last; the polling loop belongs to the caller."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.seen = ""
        self.renamed = False
        """The content of the last :meth:`load` came in one piece: by a rename, or by a symbolic
        link that leads elsewhere now."""
        self._place: Place | None = None
        self._named: frozenset[str] = frozenset()
        """Files without which the policy that was read last cannot be carried out."""
        self._named_seen = digest(())

    def changed(self) -> bool:
        """Whether the content differs from the one of the last call (true the first time).

        That of the files which the policy needs is part of it: one that vanishes is told, and one
        that comes back mends what was refused.
        """
        now = fingerprint(self.path), digest(self._named)
        changed = now != (self.seen, self._named_seen)
        self.seen, self._named_seen = now
        return changed

    def load(self) -> LoadedPolicy:
        """The present content. Raises PolicyError; the caller then keeps its last good policy."""
        self.seen = fingerprint(self.path)
        before, (self._place, renamed) = self._place, Place.of(self.path)
        here = self._place
        if before is None or here is None:
            self.renamed = False
        else:
            self.renamed = here.real != before.real or (here != before and renamed)
        loaded = load(self.path)
        self._named = needed(loaded.policy)
        self._named_seen = digest(self._named)
        return servable(loaded, begun=True)

    def __repr__(self) -> str:
        return f"<Watch {self.path} {self.seen[:12] or 'never looked'}>"
