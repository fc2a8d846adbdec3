"""One service as a process: listen, load, announce, serve, drain.

Standard output carries JSON lines for whoever started the process: `listening` with the bound
port at once, `ready` when the model is loaded, `stopping` when told to end.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from prediction_services.cache import DEFAULT_CACHE, write_whole
from prediction_services.faults import Faults
from prediction_services.loops import loop_factory
from prediction_services.pool import WAITING_MAX_DEFAULT, WORKERS_DEFAULT
from prediction_services.predictor import Predictor, load_predictor
from prediction_services.service import PredictionService

DRAIN_S = 5.0
"""How long requests in flight may finish after SIGTERM."""

KEEP_ALIVE_S = 75.0
"""How long an idle connection stays open."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `python -m prediction_services serve` takes.

    Attributes:
        version: a key of `versions.VERSIONS`.
        host, port: where to listen; port 0 lets the kernel choose.
        cache: the cache directory.
        port_file: written with the port once it is bound; None for no file.
        workers, waiting_max: threads that predict, and calls that may wait for one.
        name: `model_version` in the answers; the version itself when None.
        faults: switched on from the start.
        exit_with_parent: stop when standard input ends, which a dead parent cannot prevent.
    """

    version: str
    host: str = "127.0.0.1"
    port: int = 0
    cache: Path = DEFAULT_CACHE
    port_file: Path | None = None
    workers: int = WORKERS_DEFAULT
    waiting_max: int = WAITING_MAX_DEFAULT
    name: str | None = None
    faults: Faults = field(default_factory=Faults)
    exit_with_parent: bool = False


def run(options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT; returns after a graceful drain.

    Raises:
        OSError: the address cannot be bound.
    """
    # One prediction is far too small to share between threads, and several services share the
    # cores: must be set before numpy and scikit-learn are imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(options))


async def _serve(options: ServeOptions) -> None:
    service = PredictionService(
        options.name or options.version,
        workers=options.workers,
        waiting_max=options.waiting_max,
        faults=options.faults,
    )
    _stop_on_signals(service.stopping, exit_with_parent=options.exit_with_parent)
    runner = web.AppRunner(
        service.application(),
        access_log=None,
        handler_cancellation=True,  # a hanging answer ends when its client leaves
        keepalive_timeout=KEEP_ALIVE_S,
        shutdown_timeout=DRAIN_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, reuse_address=True)
        await site.start()
        port: int = runner.addresses[0][1]
        if options.port_file is not None:
            write_whole(options.port_file, lambda partial: _write_port(partial, port))
        announce = _announcer(service.version, f"http://{options.host}:{port}", port)
        announce("listening")
        predictor = await _load(options, service.stopping)
        if predictor is not None:
            service.use(predictor)
            announce("ready")
            await service.stopping.wait()
        announce("stopping")
    finally:
        await runner.cleanup()


async def _load(options: ServeOptions, stopping: asyncio.Event) -> Predictor | None:
    """Load in a thread; None when told to stop first.

    A daemon thread, since the event loop would wait at its end for one of its own: a service that
    is told to stop while it trains has nothing to finish.
    """
    loop = asyncio.get_running_loop()
    loaded: asyncio.Future[Predictor] = loop.create_future()

    def settle(predictor: Predictor | None, error: BaseException | None) -> None:
        if loaded.done():
            return
        if error is not None:
            loaded.set_exception(error)
        elif predictor is not None:
            loaded.set_result(predictor)

    def work() -> None:
        predictor, error = None, None
        try:
            predictor = load_predictor(options.version, options.cache)
        except Exception as raised:  # noqa: BLE001 - raised again where it is awaited
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle, predictor, error)

    threading.Thread(target=work, name="load", daemon=True).start()
    stop = asyncio.ensure_future(stopping.wait())
    either: set[asyncio.Future[Any]] = {loaded, stop}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    return loaded.result() if loaded.done() else None


def _write_port(path: Path, port: int) -> None:
    path.write_text(f"{port}\n")


def _announcer(version: str, url: str, port: int) -> Callable[[str], None]:
    def announce(event: str) -> None:
        line = {"event": event, "version": version, "url": url, "port": port, "pid": os.getpid()}
        # Whoever listened may be gone; the service goes on, or stops by other signs.
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(line), flush=True)

    return announce


def _stop_on_signals(stopping: asyncio.Event, *, exit_with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if exit_with_parent:

        def parent_spoke() -> None:
            if not os.read(sys.stdin.fileno(), 4096):
                loop.remove_reader(sys.stdin.fileno())
                stopping.set()

        loop.add_reader(sys.stdin.fileno(), parent_spoke)
