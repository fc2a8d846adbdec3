"""The router's admin interface as a client of it: status, journal, metrics, orders."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from prediction_services.demo.policy import ROUTE
from prediction_services.demo.recording import Moment, read_gate

REQUEST_S = 10.0
"""Longest wait for one answer."""

JOURNAL_PAGE = 1_000


class AdminError(Exception):
    """The router refused, or could not be reached; the message says which."""


@dataclass(frozen=True, slots=True)
class Carried:
    """An order that was carried out: the router's answer and how long it took, as we saw it."""

    answer: dict[str, Any]
    took_ms: float


class Admin:
    """One router's admin interface.

    Args:
        url: base URL, such as `http://127.0.0.1:8081`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_S))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def ready(self) -> bool:
        """Whether the router is up and every worker has its table."""
        try:
            async with self._session.get(f"{self.url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def rollout(self) -> dict[str, Any] | None:
        """The rollout's whole status; None while the route has none."""
        status, answer = await self._get(f"/api/v1/rollouts/{ROUTE}")
        return answer if status == 200 else None

    async def journal(self, since: int) -> list[dict[str, Any]]:
        """Entries with a larger id than `since`, oldest first."""
        _, answer = await self._get(f"/api/v1/journal?since={since}&limit={JOURNAL_PAGE}")
        return list(reversed(answer["entries"]))

    async def metrics(self) -> str:
        """Prometheus text."""
        async with self._session.get(f"{self.url}/metrics") as response:
            return await response.text()

    async def order(self, verb: str, reason: str) -> Carried:
        """Carry out a command on the route; answers when it is durable and in force.

        Raises:
            AdminError: it was refused.
        """
        begun_s = time.perf_counter()
        async with self._session.post(
            f"{self.url}/api/v1/rollouts/{ROUTE}/{verb}", json={"reason": reason}
        ) as response:
            answer = await response.json(content_type=None)
            took_ms = (time.perf_counter() - begun_s) * 1000
            if response.status != 200:
                raise AdminError(f"{verb} was refused: {answer.get('detail')}")
            return Carried(answer, took_ms)

    async def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self._session.get(f"{self.url}{path}") as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status not in (200, 404):
                raise AdminError(f"GET {path}: {response.status} {answer.get('detail', '')}")
            return response.status, answer


def read_moment(status: dict[str, Any], at_s: float) -> Moment:
    """A rollout's status as one moment of the recording.

    Args:
        status: as `Admin.rollout` gives it.
        at_s: seconds since the play began.
    """
    together = status.get("evidence") or {"capital": 1.0, "limit": 100.0}
    return Moment(
        at_s=at_s,
        stable=status["stable"],
        candidate=status["candidate"],
        phase=status["phase"],
        step=status["step"],
        steps=status["steps"],
        weight_bp=status["weight_bp"],
        mirror_bp=status.get("mirror_bp") or 0,
        evidence=float(together["capital"]),
        limit=float(together["limit"]),
        remaining_s=float(status.get("remaining_s") or 0.0),
        samples=status.get("samples") or 0,
        until_samples=status.get("until_samples") or 0,
        gates=tuple(read_gate(gate) for gate in status["gates"]),
    )
