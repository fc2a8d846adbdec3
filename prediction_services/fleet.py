"""Several services as processes of their own: started together, known by URL, surely stopped.

    async with Fleet() as fleet:
        stable, candidate = await fleet.start("v2", "v3")
        await candidate.set_faults(error_rate=1.0)

Three nets catch the processes: leaving the `async with` block (also by an error or Ctrl-C) stops
them by PID; the interpreter's exit kills what is left; and a service whose parent was killed sees
its standard input end and stops by itself.
"""

import asyncio
import atexit
import contextlib
import itertools
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import aiohttp

from prediction_services import MODEL_NAME
from prediction_services.cache import DEFAULT_CACHE

READY_S = 90.0
"""Deadline from start to ready; a first start on a slow machine trains models within it."""

STOP_S = 7.0
"""From SIGTERM to SIGKILL; longer than a service drains (`server.DRAIN_S`)."""

LOG_TAIL_BYTES = 4_000
"""How much of a failed service's log its error shows."""

_PACKAGE_PARENT = Path(__file__).resolve().parent.parent


class ServiceError(Exception):
    """A service did not become ready; the message holds the end of its log."""


class Service:
    """One running process.

    Attributes:
        version: the version it was started as.
        name: the `model_version` it answers with.
        url: base URL, such as `http://127.0.0.1:40123`.
        log: file with everything it wrote to standard error.
    """

    def __init__(
        self, version: str, name: str, process: asyncio.subprocess.Process, url: str, log: Path
    ) -> None:
        self.version = version
        self.name = name
        self.url = url
        self.log = log
        self._process = process

    def __repr__(self) -> str:
        state = "running" if self.running else f"ended with {self._process.returncode}"
        return f"<Service {self.name} {self.url} pid {self.pid} {state}>"

    @property
    def pid(self) -> int:
        """Process id, also after its end."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.returncode is None

    @property
    def endpoint(self) -> str:
        """`host:port`."""
        return self.url.removeprefix("http://")

    @property
    def infer_url(self) -> str:
        """Where V2 predictions are asked for."""
        return f"{self.url}/v2/models/{MODEL_NAME}/infer"

    async def set_faults(self, **faults: Any) -> Mapping[str, Any]:
        """Switch faults (fields of `faults.Faults`); all that is not named is switched off.

        Raises:
            ServiceError: the service refused them.
        """
        return await self._admin("PUT", faults)

    async def clear_faults(self) -> Mapping[str, Any]:
        """Switch all faults off."""
        return await self._admin("DELETE", None)

    async def faults(self) -> Mapping[str, Any]:
        """The faults switched on and, under `injected`, how often each has been met."""
        return await self._admin("GET", None)

    def kill(self) -> None:
        """End the process at once, as a crash would (SIGKILL)."""
        _signal(self.pid, signal.SIGKILL, self._process)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after `STOP_S`; returns when the process has ended."""
        _signal(self.pid, signal.SIGTERM, self._process)
        await _ended(self._process)

    async def _admin(self, method: str, document: Any) -> Mapping[str, Any]:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.request(method, f"{self.url}/admin/faults", json=document) as response,
        ):
            answer: Mapping[str, Any] = await response.json()
            if response.status != 200:
                raise ServiceError(f"{self.name} refused the faults: {answer.get('error')}")
            return answer


class Fleet:
    """Starts services and is sure to end them.

    Args:
        cache: directory of data and models, shared by all; trained into on first use.
        ready_s: deadline for each start.
        log_dir: where the services' logs go; a temporary directory by default.
    """

    def __init__(
        self,
        *,
        cache: Path = DEFAULT_CACHE,
        ready_s: float = READY_S,
        log_dir: Path | None = None,
    ) -> None:
        self.services: list[Service] = []
        self._cache = cache
        self._ready_s = ready_s
        self._log_dir = log_dir
        self._processes: list[asyncio.subprocess.Process] = []
        self._log_numbers = itertools.count(1)
        self._resources = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        if self._log_dir is None:
            temporary = tempfile.TemporaryDirectory(prefix="prediction-services-")
            self._log_dir = Path(self._resources.enter_context(temporary))
        self._log_dir.mkdir(parents=True, exist_ok=True)
        atexit.register(self._kill_leftovers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.shield(self.stop())

    async def start(self, *versions: str, **options: Any) -> list[Service]:
        """Start one service per version, side by side, and wait until all are ready.

        Args:
            versions: keys of `versions.VERSIONS`; the same may be given twice.
            **options: as `start_one` takes them, for each.

        Raises:
            ServiceError: one of them ended or was not ready in time. Those that did start are
                stopped with the fleet.
        """
        starts = [self.start_one(version, **options) for version in versions]
        started: list[Service] = []
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            started.append(outcome)
        return started

    async def start_one(
        self,
        version: str,
        *,
        name: str | None = None,
        port: int = 0,
        faults: Mapping[str, Any] | None = None,
        workers: int | None = None,
        waiting: int | None = None,
    ) -> Service:
        """Start one service and wait until it is ready.

        Args:
            version: a key of `versions.VERSIONS`.
            name: `model_version` in its answers; the version by default.
            port: 0 lets the kernel choose.
            faults: switched on from its first request.
            workers: threads that predict.
            waiting: predictions that may wait for a thread before 429.

        Raises:
            ServiceError: it ended or was not ready in time.
        """
        name = name or version
        command = ["serve", "--version", version, "--name", name, "--port", str(port)]
        command += ["--cache", str(self._cache), "--exit-with-parent"]
        command += ["--faults", json.dumps(dict(faults or {}))]
        command += [] if workers is None else ["--workers", str(workers)]
        command += [] if waiting is None else ["--waiting", str(waiting)]
        log = self._log_path(name)
        with log.open("wb") as log_file:
            process = await self._spawn(command, log_file)
        url = await self._wait_ready(process, name, log)
        service = Service(version, name, process, url, log)
        self.services.append(service)
        return service

    async def stop(self) -> None:
        """End every process this fleet has started; safe to call twice."""
        for process in self._processes:
            _signal(process.pid, signal.SIGTERM, process)
        await asyncio.gather(*(_ended(process) for process in self._processes))
        atexit.unregister(self._kill_leftovers)
        self._resources.close()

    async def _spawn(self, command: list[str], log: IO[bytes]) -> asyncio.subprocess.Process:
        paths = [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "prediction_services", *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,  # Ctrl-C in the terminal reaches us alone, and we stop them
        )
        self._processes.append(process)
        return process

    async def _wait_ready(self, process: asyncio.subprocess.Process, name: str, log: Path) -> str:
        stdout = process.stdout
        assert stdout is not None, "piped above"  # noqa: S101 - narrows the type
        try:
            async with asyncio.timeout(self._ready_s):
                while line := await stdout.readline():
                    event = json.loads(line)
                    if event["event"] == "ready":
                        return str(event["url"])
                await process.wait()
                happened = f"ended with status {process.returncode}"
        except TimeoutError:
            happened = f"was not ready within {self._ready_s:g} s"
        raise ServiceError(f"{name} {happened}\n{_tail(log)}".rstrip())

    def _log_path(self, name: str) -> Path:
        assert self._log_dir is not None, "use as: async with Fleet()"  # noqa: S101 - misuse
        return self._log_dir / f"{next(self._log_numbers)}-{name}.log"

    def _kill_leftovers(self) -> None:
        for process in self._processes:
            _signal(process.pid, signal.SIGKILL, process)


def _tail(log: Path) -> str:
    return log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()


def _signal(pid: int, number: signal.Signals, process: asyncio.subprocess.Process) -> None:
    """Signal by PID, but never a PID that may have been given to somebody else since."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        _signal(process.pid, signal.SIGKILL, process)
        await process.wait()
