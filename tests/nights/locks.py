"""What is beside the store's file, and who has locked it: the operating system as the product's
lock files and ``/proc`` see it.

``flock`` belongs to an open file and goes with its process, as the kernel does it. A real path (the
commands for copies have one) goes to the real system.
"""

from __future__ import annotations

import errno
import itertools

FIRST = 1_000_000_000
"""Descriptors of the simulated disk begin here."""


class OpenFile:
    """A descriptor of one process."""

    def __init__(self, disk, name):
        self.disk, self.name = disk, name
        self.process = disk.machine.current
        self.process.held.append(self)

    def ended(self, _process):
        """Closed, by its owner or by the kernel."""
        if self.disk.locks.get(self.name) is self:
            del self.disk.locks[self.name]


class LockOs:
    """The modules ``os`` and ``fcntl`` where locks are taken."""

    def __init__(self, real):
        self._real = real
        self._open = {}
        self._numbers = itertools.count(FIRST)

    def __getattr__(self, name):
        return getattr(self._real, name)

    def clear(self):
        """Another night begins."""
        self._open.clear()

    def open(self, path, flags, mode=0o600):
        disk = getattr(path, "disk", None)
        if disk is None:
            return self._real.open(path, flags, mode)
        if disk.fault == "read_only" or (disk.fault == "full" and not path.exists()):
            raise OSError(errno.EROFS, "Read-only file system")
        path.made()
        number = next(self._numbers)
        self._open[number] = OpenFile(disk, path.name)
        return number

    def close(self, number):
        made = self._open.pop(number, None)
        if number < FIRST:
            self._real.close(number)
        elif made is not None and not made.disk.machine.inert:
            if made in made.process.held:
                made.process.held.remove(made)
            made.ended(made.process)

    def pread(self, number, size, at):
        if number < FIRST:
            return self._real.pread(number, size, at)
        made = self._open[number]
        return made.disk.files[made.name][at : at + size]

    def pwrite(self, number, data, at):
        if number < FIRST:
            return self._real.pwrite(number, data, at)
        made = self._open[number]
        if made.disk.fault == "read_only":
            raise OSError(errno.EROFS, "Read-only file system")
        if made.process.alive and not made.disk.machine.inert:
            made.disk.files[made.name] = data
        return len(data)

    def getpid(self):
        machine = next(iter(self._open.values())).disk.machine if self._open else None
        return machine.current.pid if machine is not None else self._real.getpid()


class LockFcntl:
    """The module ``fcntl``."""

    def __init__(self, real, files):
        self._real, self._files = real, files

    def __getattr__(self, name):
        return getattr(self._real, name)

    def flock(self, number, how):
        if number < FIRST:
            self._real.flock(number, how)
            return
        made = self._files._open[number]
        if made.disk.locks.setdefault(made.name, made) is not made:
            raise BlockingIOError(errno.EWOULDBLOCK, "Resource temporarily unavailable")


class Proc:
    """``Path`` of something below ``/proc/PID``."""

    def __init__(self, net, path):
        self._net = net
        _, _, pid, *more = path.split("/")
        self._process, self._what = net.machine.pids.get(int(pid)), "/".join(more)

    def _listening(self):
        process = self._process
        if process is None:
            raise FileNotFoundError(self._what)
        return [one.fd for one in self._net.listeners if one.process is process]

    def read_text(self):
        """``stat`` and ``net/tcp``; there is no ``tcp6``."""
        inodes, process = self._listening(), self._process
        if self._what == "stat":
            letter = "T" if process.stopped else "R" if process.ready else "S"
            pid = process.pid
            return f"{pid} (rampway (x)) {letter}{' 0' * 18} {pid} 0"
        if self._what == "net/tcp":
            return "\n".join(["head", *(f"0: a b 0A 0 0 0 0 0 {inode} 0" for inode in inodes)])
        raise FileNotFoundError(self._what)

    def iterdir(self):
        """``fd``."""
        return [Descriptor("/dev/null"), *(Descriptor(f"socket:[{n}]") for n in self._listening())]


class Descriptor:
    def __init__(self, leads_to):
        self._leads_to = leads_to

    def readlink(self):
        return self._leads_to
