"""What processes are joined by: wires with latency and bounds, sockets, listeners, a network.

A wire delivers what was written, in order, some time later, cut at any place; to a process that is
stopped or does not read it delivers nothing, and then its buffer fills.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import select
import socket

KERNEL_BYTES = 212_992
"""What a socket takes of somebody who does not read."""

EOF, RESET = object(), object()


class Wire(asyncio.Transport):
    """One end. ``process`` None: nobody has taken it up yet; what arrives waits."""

    def __init__(self, machine, fd, peername=("127.0.0.1", 50_000)):
        self.machine = machine
        self.fd = fd
        self.peername = peername
        self.peer = None
        self.process = None
        self.protocol = None
        self.kernel = KERNEL_BYTES
        self.latency_s = 0.0005
        self.split = 0.0
        """Chance that a delivery is cut in two."""
        self._out = []
        self._unsent = 0
        self._closing = self._lost = False
        self._paused = False
        self._high = 65_536
        self._choked = False
        self._due = False
        self._socket = WireSocket(self)

    def __repr__(self):
        return f"<Wire {self.fd} of {self.process!r}>"

    # --- both ends --------------------------------------------------------------------------------

    def attach(self, process, protocol):
        self.process, self.protocol = process, protocol
        process.held.append(self)
        protocol.connection_made(self)
        if self.peer._out:
            self._arrive(0.0)

    def _arrive(self, after_s):
        """Something is on its way to this end."""
        if not self._due and self.process is not None and not self._paused:
            self._due = True
            self.process.call_later(after_s, self._deliver)

    def _deliver(self):
        self._due = False
        if self._paused or self._lost or not self.process.alive:
            return
        out = self.peer._out
        pieces = []
        while out and out[0] is not EOF and out[0] is not RESET:
            pieces.append(out.pop(0))
        if pieces:
            data = b"".join(pieces)
            if self.split and len(data) > 1 and self.machine.chance.random() < self.split:
                at = self.machine.chance.randrange(1, len(data))
                out.insert(0, data[at:])
                data = data[:at]
                self._arrive(self.machine.chance.random() * 0.002)
            self.peer._taken(len(data))
            if not self._closing or self._reads_on():
                self.protocol.data_received(data)
            if out:
                self._arrive(0.0)
            return
        if not out:
            return
        end = out.pop(0)
        if end is RESET:
            out.clear()
            self._lose(ConnectionResetError(errno.ECONNRESET, "reset"))
        elif not self._closing:
            if not self.protocol.eof_received():
                self.close()
        else:
            self._lose(None)

    def _reads_on(self):
        return not self._lost

    def _taken(self, size):
        self._unsent -= size
        if self._choked and self.get_write_buffer_size() == 0 and self.process is not None:
            self._choked = False
            if self.process.alive and not self._lost:
                self.process.call_soon(self._resume)

    def _resume(self):
        if not self._lost:
            self.protocol.resume_writing()

    def _lose(self, error):
        if self._lost:
            return
        self._lost = self._closing = True
        if self.process is not None and self.process.alive:
            self.process.call_soon(self.protocol.connection_lost, error)
            if self in self.process.held:
                self.process.held.remove(self)

    def ended(self, _process):
        """The process is gone: the kernel closes what it had."""
        self._closing = self._lost = True
        self._out.append(EOF)
        self.peer._arrive(self.latency_s)

    def pending(self):
        """What a poll of the socket would say."""
        return bool(self.peer._out) or self._lost

    # --- asyncio.Transport ------------------------------------------------------------------------

    def write(self, data):
        if self._closing or self.machine.inert or not data or not self.process.alive:
            return
        self._out.append(bytes(data))
        self._unsent += len(data)
        self.peer._arrive(self.latency_s * (0.5 + self.machine.chance.random()))
        if not self._choked and self.get_write_buffer_size() > self._high:
            self._choked = True
            self.process.call_soon(self.protocol.pause_writing)

    def get_write_buffer_size(self):
        return max(self._unsent - self.kernel, 0)

    def set_write_buffer_limits(self, high=None, low=None):
        self._high = 65_536 if high is None else high

    def can_write_eof(self):
        return True

    def write_eof(self):
        if not self._lost and EOF not in self._out:
            self._out.append(EOF)
            self.peer._arrive(self.latency_s)

    def close(self):
        if self._closing or self.machine.inert:
            return
        self._closing = True
        if EOF not in self._out:
            self._out.append(EOF)
        self.peer._arrive(self.latency_s)
        self._lose(None)

    def abort(self):
        if self._lost or self.machine.inert:
            return
        self._out[:] = [RESET]
        self._unsent = 0
        self.peer._arrive(self.latency_s)
        self._lose(None)

    def is_closing(self):
        return self._closing

    def pause_reading(self):
        self._paused = True

    def resume_reading(self):
        self._paused = False
        if self.peer._out:
            self._arrive(0.0)

    def is_reading(self):
        return not self._paused

    def get_extra_info(self, name, default=None):
        return {"socket": self._socket, "peername": self.peername}.get(name, default)

    def get_protocol(self):
        return self.protocol

    def set_protocol(self, protocol):
        self.protocol = protocol


class WireSocket:
    """The socket of a wire: whoever wants its number."""

    def __init__(self, wire):
        self.wire = wire

    def fileno(self):
        return -1 if self.wire.peername is not None else self.wire.fd

    def setblocking(self, _flag):
        pass

    def setsockopt(self, *_):
        pass

    def close(self):
        """Another holder has it, or nobody."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class PairSocket(WireSocket):
    """One end of a socketpair."""

    def fileno(self):
        return self.wire.fd


class Listener:
    """A bound socket: who connects waits here until somebody accepts."""

    def __init__(self, machine, fd, port):
        self.machine, self.fd, self.port = machine, fd, port
        self.listening = False
        self.process = None
        self._factory = None
        self._waiting = []
        self._holders = 0

    def serve(self, process, factory):
        self.process, self._factory, self.listening = process, factory, True
        process.held.append(self)
        waiting, self._waiting = self._waiting, []
        for wire in waiting:
            self.take(wire)
        return self

    def take(self, wire):
        if self.process is None:
            self._waiting.append(wire)
        else:
            wire.attach(self.process, self._factory())

    def close(self):
        """The server does not accept any more."""
        if self.process is not None and self in self.process.held:
            self.process.held.remove(self)
        self.ended(self.process)

    def ended(self, process):
        """The process is gone. Who waits goes on waiting while somebody holds the socket."""
        if process is self.process:
            self.process = None
        if not self.machine.net.held(self):
            self.listening = False
            waiting, self._waiting = self._waiting, []
            for wire in waiting:
                wire.ended(None)


class BoundSocket:
    """A listening socket as a process holds it."""

    def __init__(self, machine, listener=None):
        self.machine = machine
        self.listener = listener
        self.shared = False
        self.process = machine.current
        self.process.held.append(self)

    def setsockopt(self, _level, option, value):
        self.shared = self.shared or (option == socket.SO_REUSEPORT and bool(value))

    def setblocking(self, _flag):
        pass

    def bind(self, address):
        net = self.machine.net
        port = address[1] or 18_080
        if net.taken or (not self.shared and net.listening(port)):
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.listener = net.bound(port)
        self.listener._holders += 1

    def getsockname(self):
        return ("127.0.0.1", self.listener.port)

    def fileno(self):
        return self.listener.fd

    def listen(self, _backlog):
        pass

    def accept(self):
        raise BlockingIOError

    def close(self):
        if self in self.process.held:
            self.process.held.remove(self)
            self.ended(self.process)

    def ended(self, _process):
        if self.listener is not None:
            self.listener._holders -= 1
            self.listener.ended(None)


class Net:
    """Everything that can be connected to."""

    def __init__(self, machine):
        self.machine = machine
        self.fds = {}
        self.listeners = []
        self.taken = False
        """Another program is on the port for clients."""
        self.servers = {}
        """Port to the scripted version behind it."""
        self.split = 0.0
        self.kernel = KERNEL_BYTES
        self._fd = itertools.count(100_000)

    def wires(self, *, peername=("127.0.0.1", 50_000)):
        """Both ends of a new wire."""
        ends = [Wire(self.machine, next(self._fd), peername) for _ in range(2)]
        ends[0].peer, ends[1].peer = ends[1], ends[0]
        for end in ends:
            end.split = self.split
            self.fds[end.fd] = end
        return ends

    def pair(self):
        """A socketpair."""
        ends = self.wires(peername=None)
        for end in ends:
            end.kernel = self.kernel
            end.latency_s = 0.0001
        return PairSocket(ends[0]), PairSocket(ends[1])

    def bound(self, port):
        listener = Listener(self.machine, next(self._fd), port)
        self.fds[listener.fd] = listener
        self.listeners.append(listener)
        return listener

    def held(self, listener):
        return listener._holders > 0 or listener.process is not None

    def listening(self, port):
        return any(one.listening and one.port == port for one in self.listeners)

    def socket(self, *_, fileno=None, **__):
        if fileno is None:
            return BoundSocket(self.machine)
        found = self.fds[fileno]
        if isinstance(found, Listener):
            found._holders += 1
            return BoundSocket(self.machine, found)
        return PairSocket(found)

    def client(self, process, protocol):
        """Connect a client to the router; False when it is refused."""
        open_ones = [one for one in self.listeners if one.listening]
        if not open_ones:
            return False
        mine, theirs = self.wires()
        mine.attach(process, protocol)
        self.machine.chance.choice(open_ones).take(theirs)
        return True

    async def connect(self, process, factory, host, port):
        """To a version: as it is disposed to."""
        server = self.servers.get(port)
        manner = server.manner() if server is not None else "refuse"
        await asyncio.sleep(self.machine.chance.random() * 0.002)
        if manner == "refuse":
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        if manner == "void":
            await asyncio.sleep(3_600)
        mine, theirs = self.wires()
        mine._socket = PairSocket(mine)
        protocol = factory()
        mine.attach(process, protocol)
        theirs.attach(self.machine.world, server.accepted(theirs))
        return mine, protocol


class Sockets:
    """The module ``socket`` as the router sees it."""

    def __init__(self, net):
        self._net = net

    def __getattr__(self, name):
        return getattr(socket, name)

    def socket(self, *args, **options):
        return self._net.socket(*args, **options)

    def socketpair(self):
        return self._net.pair()


class Select:
    """The module ``select``."""

    def __init__(self, net):
        self._net = net

    def __getattr__(self, name):
        return getattr(select, name)

    def poll(self):
        return Poll(self._net)


class Poll:
    def __init__(self, net):
        self._net = net
        self._fd = -1

    def register(self, fd, _events):
        self._fd = fd

    def poll(self, _timeout):
        wire = self._net.fds.get(self._fd)
        return [(self._fd, select.POLLIN)] if wire is not None and wire.pending() else []
