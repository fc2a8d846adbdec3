"""A machine of the test's own: processes in virtual time, and one scheduler for all of them.

Each process is an event loop. Within one, callbacks run in the order in which they were made ready,
as asyncio promises; which process runs next is drawn from the seed, between any two callbacks. A
process can be stopped, held up or killed there. Nothing waits for the real clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
import random
import signal
from collections import deque

READ_TAKES_S = 1e-6
"""Time that passes with each look at the clock: nobody reads the same time twice."""

SWITCH_S = 2e-5
"""Time that a callback takes."""

STEPS_MAX = 400_000
"""Callbacks of one night; more are a loop that never rests."""


class Overrun(Exception):
    """The night does not end."""


class Machine:
    """Virtual time, processes, and what they share."""

    def __init__(self, seed):
        self.seed = seed
        self.now = 1_000.0
        self.wall_s = 1_700_000_000.0
        """What the wall clock is ahead of the monotonic one."""
        self.order = random.Random(f"{seed}/order")
        self.chance = random.Random(f"{seed}/chance")
        self.processes = []
        self.pids = {}
        self.graveyard = []
        """Ended processes: held, so that nothing of them is finalised in the middle of a night."""
        self.current = None
        self.inert = False
        """The night is over: whatever is finalised now has no effect."""
        self.steps = 0
        self.at_once = 1.0
        """Machines that this one stands for, which work at the same time."""
        self.timers = []
        """Heap of (when, number, handle), of all processes."""
        self.moved = True
        """Who can run may be others than before."""
        self._numbers = itertools.count(1)
        self.timer_numbers = itertools.count(1)
        self.digest = 0

    def number(self):
        return next(self._numbers)

    # --- clocks -----------------------------------------------------------------------------------

    def monotonic(self):
        self.now += READ_TAKES_S
        return self.now

    def wall(self):
        self.now += READ_TAKES_S
        return self.now + self.wall_s

    # --- processes --------------------------------------------------------------------------------

    def start(self, name, main=None, *, parent=None):
        """A new process; ``main`` is a coroutine function and the process ends with it."""
        process = Process(self, name, 4_000_000 + self.number())
        process.parent = parent
        self.processes.append(process)
        self.pids[process.pid] = process
        if main is not None:
            process.call_soon(process.begin, main)
        return process

    def signal(self, pid, number):
        process = self.pids.get(pid)
        if process is None or self.inert:
            return
        if number == signal.SIGKILL:
            process.end(-9)
        elif number in process.handlers:
            process.call_soon(*process.handlers[number])
        else:
            process.end(-int(number))

    # --- the scheduler ----------------------------------------------------------------------------

    def run(self, until, done=lambda: False):
        """Let everything happen up to ``until``, or until ``done``."""
        choose, timers = self.order.random, self.timers
        self.moved = True
        runnable = []
        while not done():
            if self.moved:
                self.moved = False
                runnable = [p for p in self.processes if p.ready and not p.stopped]
            if runnable:
                chosen = runnable[0]
                if len(runnable) > 1:
                    chosen = runnable[int(choose() * len(runnable))]
                self.now += SWITCH_S / self.at_once
                self._turn(chosen)
                continue
            while timers and timers[0][2].cancelled_:
                heapq.heappop(timers)
            due = timers[0][0] if timers else until
            if due > until:
                self.now = max(self.now, until)
                return
            self.now = max(self.now, due)
            self._wake()

    def _wake(self):
        """What is due by now is ready, also in a process that is stopped."""
        timers, now = self.timers, self.now
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled_ and handle.process.alive:
                handle.process.ready.append(handle)
        self.moved = True

    def _turn(self, process):
        self.steps += 1
        if self.steps > STEPS_MAX * self.at_once:
            raise Overrun(f"{self.steps} callbacks, and it is only {self.now:.1f}")
        if self.current is not process:
            self.current = process
            asyncio._set_running_loop(process)
        handle = process.ready.popleft()
        if not process.ready:
            self.moved = True
        self.digest = (self.digest * 31 + process.pid + int(self.now * 1e6)) & 0xFFFFFFFFFFFFFFFF
        if process.dies_after:
            process.dies_after -= 1
            if not process.dies_after:
                process.end(-9)
                return
        if not handle.cancelled_:
            try:
                handle.context.run(handle.callback, *handle.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                process.call_exception_handler({"exception": error})

    def close(self):
        """The night is over: whatever still waits is finalised, without effect."""
        self.inert = True
        for process in (*self.graveyard, *self.processes):
            self.current = process
            asyncio._set_running_loop(process)
            process.ready.clear()
            for task in process._tasks:
                if not task.done():
                    task._log_destroy_pending = False
                    _finish(task.get_coro())
            process._tasks.clear()
            process.held.clear()
        self.timers.clear()
        asyncio._set_running_loop(None)


class Handle:
    """As ``asyncio.TimerHandle``, without what only its debugger asks."""

    __slots__ = ("args", "callback", "cancelled_", "context", "due", "process")

    def __init__(self, process, callback, args, context, due=0.0):
        self.process, self.callback, self.args, self.due = process, callback, args, due
        self.context = contextvars.copy_context() if context is None else context
        self.cancelled_ = False

    def cancel(self):
        self.cancelled_ = True
        self.callback = self.args = None

    def cancelled(self):
        return self.cancelled_

    def when(self):
        return self.due


class Process(asyncio.AbstractEventLoop):
    """One process: an event loop that the machine runs."""

    def __init__(self, machine, name, pid):
        self.machine = machine
        self.name = name
        self.pid = pid
        self.ready = deque()
        self.alive = True
        self.stopped = False
        self.dies_after = 0
        """Callbacks until it is killed; 0: it is not."""
        self.status = None
        self.handlers = {}
        self.held = []
        """What is given back when it ends: ``ended(process)`` is called."""
        self.waiters = []
        self.errors = []
        self.parent = None
        self._tasks = []

    def __repr__(self):
        return f"<{self.name} {self.pid} {'alive' if self.alive else self.status}>"

    def begin(self, main):
        task = self.create_task(main())
        task.add_done_callback(self._main_ended)

    def _main_ended(self, task):
        if task.cancelled():
            self.end(1)
        elif (error := task.exception()) is not None:
            self.errors.append(error)
            self.end(1)
        else:
            self.end(task.result() or 0)

    def end(self, status):
        """It is gone, with all that it held."""
        if not self.alive or self.machine.inert:
            return
        self.alive, self.status, self.stopped = False, status, True
        machine = self.machine
        machine.moved = True
        machine.processes.remove(self)
        machine.pids.pop(self.pid, None)
        machine.graveyard.append(self)
        held, self.held = self.held, []
        for one in held:
            one.ended(self)
        for parent, future in self.waiters:
            if parent.alive:
                parent.call_soon(_settle, future, status)

    # --- asyncio's loop ---------------------------------------------------------------------------

    def time(self):
        return self.machine.monotonic()

    def call_soon(self, callback, *args, context=None):
        handle = Handle(self, callback, args, context)
        if self.alive:
            if not self.ready:
                self.machine.moved = True
            self.ready.append(handle)
        return handle

    def call_soon_threadsafe(self, callback, *args, context=None):
        late_s = self.machine.chance.random() * 0.001
        return self.call_later(late_s, callback, *args, context=context)

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.machine.now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = Handle(self, callback, args, context, when)
        if self.alive:
            machine = self.machine
            heapq.heappush(machine.timers, (when, next(machine.timer_numbers), handle))
        return handle

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self._tasks.append(task)
        if len(self._tasks) > 64:
            self._tasks = [one for one in self._tasks if not one.done()]
        return task

    def run_in_executor(self, executor, func, *args):
        """A thread: it has done it some time later."""
        done = self.create_future()
        at = self.machine.now + self.machine.chance.expovariate(1 / 0.001)
        if hasattr(executor, "free_at"):  # one thread: in turn
            at = executor.free_at = max(at, executor.free_at)
        self.call_at(at, self._in_thread, done, func, args)
        return done

    def _in_thread(self, done, func, args):
        if done.cancelled():
            return
        try:
            result = func(*args)
        except Exception as error:
            done.set_exception(error)
        else:
            done.set_result(result)

    def add_signal_handler(self, sig, callback, *args):
        self.handlers[sig] = (callback, *args)

    def remove_signal_handler(self, sig):
        return self.handlers.pop(sig, None) is not None

    def call_exception_handler(self, context):
        if not self.machine.inert and self.alive:
            error = context.get("exception")
            self.errors.append(error or RuntimeError(context.get("message")))

    def get_exception_handler(self):
        return None

    def set_exception_handler(self, handler):
        pass

    def get_debug(self):
        return False

    def is_running(self):
        return self.alive

    def is_closed(self):
        return False

    async def create_connection(self, factory, host=None, port=None, *, sock=None, **_):
        if sock is not None:
            protocol = factory()
            sock.wire.attach(self, protocol)
            return sock.wire, protocol
        return await self.machine.net.connect(self, factory, host, port)

    async def create_server(self, factory, *, sock, **_):
        return sock.listener.serve(self, factory)

    async def subprocess_exec(self, factory, program, *args, pass_fds=(), **_):
        protocol = factory()
        transport = Child(self, self.machine.spawn(self, args, pass_fds))
        protocol.connection_made(transport)
        return transport, protocol


class Child(asyncio.SubprocessTransport):
    """A process as its parent sees it."""

    def __init__(self, parent, process):
        super().__init__()
        self._parent = parent
        self._process = process

    def get_pid(self):
        return self._process.pid

    def get_returncode(self):
        return self._process.status

    def get_pipe_transport(self, fd):
        return None

    def send_signal(self, number):
        self._process.machine.signal(self._process.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    terminate = kill

    def close(self):
        pass

    async def _wait(self):
        if self._process.status is None:
            future = self._parent.create_future()
            self._process.waiters.append((self._parent, future))
            await future
        return self._process.status


FINALLY_MAX = 8
"""Awaits inside of ``finally`` that one coroutine may still be in."""


def _finish(coroutine):
    for _ in range(FINALLY_MAX):
        try:
            coroutine.close()
        except BaseException:
            continue
        return


def _settle(future, value):
    with contextlib.suppress(asyncio.InvalidStateError):
        if not future.cancelled():
            future.set_result(value)
