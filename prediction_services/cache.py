"""The cache directory: one trainer at a time, and files that are whole or absent.

Parallel first starts are the normal case (a fleet starts all its services together), so work is
done under an exclusive lock, and a finished file appears by one rename.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

DEFAULT_CACHE = Path(".cache/prediction_services")
"""Below the current directory; `--cache` names another."""


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Hold the cache's exclusive lock; blocks until other processes are done.

    The kernel drops the lock with its holder, so a killed trainer blocks nobody.

    Args:
        cache: the directory; made when missing.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for suffix in (".npz", ".skops"):  # left by a killed holder: nobody else writes these now
            for partial in cache.glob(f".partial-*{suffix}"):
                partial.unlink()
        yield


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it into place."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
    os.close(descriptor)
    partial = Path(name)
    try:
        write(partial)
        partial.chmod(
            0o644
        )  # mkstemp makes it private; an image is built by one user, run by another
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
