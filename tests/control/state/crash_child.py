"""Runs a rollout on a real store and says every acknowledged position, until it is killed.

One process imports everything once; for each line "URL POLICY SAID" on standard input it forks a
child that does the work, and prints the child's pid. The child's own lines go to the file SAID,
each with one write: "REVISION PHASE STEP WEIGHT".
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from router.config.check import loads
from router.control.rollouts.reconciler import Reconciler
from router.control.state.clock import RolloutClock
from router.control.state.errors import ControlError
from router.control.state.places import local_path, shared, shared_store
from router.control.state.sqlite import SqliteStore
from router.core.rollout.events import Abort, Pause, Promote, Resume, Retry


class Quiet:
    def publish(self, table):
        pass

    def moved(self, entry):
        pass

    def store_failed(self, error):
        raise error

    def store_works(self):
        pass


async def work(url: str, policy: str, file: str) -> None:
    store = shared_store(url) if shared(url) else SqliteStore(local_path(url, ""))
    said = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    reconciler = Reconciler(store, RolloutClock(), Quiet(), Quiet())
    reconciler.resume(await store.open())
    reconciler.adopt(loads(Path(policy).read_text()).policy)
    turning = asyncio.create_task(reconciler.run())
    while not turning.done():
        run = reconciler.runs["r"]
        if run.pending is not None:
            await asyncio.wait([run.pending.done])
        for event in (Pause(), Resume(), Promote(), Abort(), Retry(force=True)):
            try:
                move = reconciler.order("r", event)
                await move.done
                entry = move.entry
                line = f"{entry.revision} {entry.phase_to} {entry.step} {entry.weight_bp}\n"
                os.write(said, line.encode())
            except ControlError:
                await asyncio.sleep(0)
    await turning


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    arguments = line.split()
    pid = os.fork()
    if pid == 0:
        asyncio.run(work(*arguments))
        os._exit(0)
    print(pid, flush=True)
