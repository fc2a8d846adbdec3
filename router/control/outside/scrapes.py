"""Asks versions what they use: each endpoint's ``/metrics``, in a loop of its own.

A version is a server of other people like any other: one bounded session, no redirects, no proxy
of the environment, forbidden addresses refused once more when a connection is made
(:mod:`router.control.outside.outside`). An answer is at most :data:`ANSWER_BYTES_MAX`; what fails
is counted and told, and no request of a client waits for any of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import aiohttp

from router.control.outside.outside import NO_ANSWER, body_of, no_answer, outside_session
from router.control.predictions.usage import Usages
from router.control.rollouts.readiness import VersionKey
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.run import Run
from router.control.state.clock import Clock
from router.core.policy.metrics import MetricsPolicy
from router.core.policy.version import UpstreamTls
from router.core.usage.exposition import sampled
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import TlsEntry
from router.loops import BOOKS, background
from router.upstream.tls import client_context

LOOK_EVERY_S: Final = 0.25
"""How often it is looked who is due."""
AT_ONCE_MAX: Final = 16
"""Questions under way; who is due beyond that waits."""
ANSWER_BYTES_MAX: Final = 1_048_576

CountScraped = Callable[[str, str, str], None]
"""``count(route, version, result)``, for metrics."""

_Asked = tuple[VersionKey, str]


class Scrapes:
    """See the module."""

    def __init__(
        self, reconciler: Reconciler, usages: Usages, clock: Clock, count: CountScraped
    ) -> None:
        self._reconciler = reconciler
        self._usages = usages
        self._clock = clock
        self._count = count
        self._session: aiohttp.ClientSession | None = None
        self._tasks: dict[_Asked, asyncio.Task[None]] = {}
        self._due: dict[_Asked, float] = {}

    def __repr__(self) -> str:
        return f"<Scrapes {len(self._tasks)} under way>"

    async def turn(self) -> None:
        """Ask everyone who is due, once."""
        await asyncio.sleep(LOOK_EVERY_S)
        now, wanted = self._clock.now(), list(self._wanted())
        known = {(key, str(endpoint)) for key, endpoint, _, _ in wanted}
        for gone in [asked for asked in self._due if asked not in known]:
            del self._due[gone]
        for key, endpoint, policy, tls in wanted:
            asked = (key, str(endpoint))
            if now < self._due.get(asked, 0.0) or asked in self._tasks:
                continue
            if len(self._tasks) >= AT_ONCE_MAX:
                break
            self._due[asked] = now + policy.interval
            task = background("scrapes", self._ask(asked, endpoint, policy, tls))
            self._tasks[asked] = task
            task.add_done_callback(partial(self._done, asked))
        self._usages.keep_only()

    def _done(self, asked: _Asked, _task: asyncio.Task[None]) -> None:
        self._tasks.pop(asked, None)

    def _wanted(self) -> Iterator[tuple[VersionKey, EndpointEntry, MetricsPolicy, UpstreamTls]]:
        """Every endpoint of the versions that have traffic, copies or a rollout."""
        for run in self._reconciler.runs.values():
            policy = run.route.metrics
            if policy is None or policy.path is None:
                continue
            for name in sorted(_serving(run)):
                version = run.route.versions[name]
                for endpoint in version.endpoints:
                    yield (run.route.name, name), endpoint, policy, version.tls

    async def _ask(
        self, asked: _Asked, endpoint: EndpointEntry, policy: MetricsPolicy, tls: UpstreamTls
    ) -> None:
        (key, name), result = asked, "failed"
        try:
            async with asyncio.timeout(policy.timeout):
                said = sampled(await self._get(endpoint, policy, tls), policy.series)
            if said:
                self._usages.scraped(key, name, said, self._clock.now())
                result = "read"
            else:
                self._usages.failed(key, name, f"nothing of use in {policy.path}")
        except NO_ANSWER as error:
            why = str(error) if type(error) is ValueError else no_answer(error, policy.timeout)
            self._usages.failed(key, name, why)
        except Exception as error:  # noqa: BLE001 - whatever an answer did: none came
            BOOKS.failed("scrapes", error)
            self._usages.failed(key, name, f"unreadable: {type(error).__name__}")
        self._count(*key, result)

    async def _get(self, endpoint: EndpointEntry, policy: MetricsPolicy, tls: UpstreamTls) -> bytes:
        """The answer's body. Raises one of :data:`NO_ANSWER`."""
        session = self._session = self._session or outside_session()
        scheme = "https" if endpoint.tls else "http"
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        url = f"{scheme}://{host}:{policy.port or endpoint.port}{policy.path}"
        entry = TlsEntry(tls.ca, tls.certificate, tls.key, tls.server_name)
        said = {name: value.get_secret_value() for name, value in policy.headers.items()}
        async with session.get(
            url, headers={"Accept": "text/plain;version=0.0.4", **said}, allow_redirects=False,
            ssl=client_context(entry) if endpoint.tls else True, server_hostname=tls.server_name,
        ) as response:  # fmt: skip
            if response.status != 200:
                raise ValueError(f"{policy.path} answered {response.status}")
            return await body_of(response, ANSWER_BYTES_MAX)

    async def close(self) -> None:
        """Let go of what is under way."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()


def _serving(run: Run) -> set[str]:
    """Versions with traffic, copies or a rollout under way."""
    entry = run.entry
    found = {v.name for v, bp in zip(entry.versions, entry.weights_bp, strict=True) if bp}
    found |= {entry.versions[mirror.version].name for mirror in entry.mirrors}
    found |= {run.live.rollout.candidate} if run.live is not None else set()
    return found & run.route.versions.keys()
