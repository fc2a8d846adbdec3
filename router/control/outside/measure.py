"""Asks Prometheus and webhooks on behalf of gates that measure outside.

Judging the answers is pure and lives with the gates; here is only the asking: bounded in time,
size, retries and number at once. A redirect is not followed, no proxy of the environment is used,
and a failed question is an answer too (an error), so a dead source is never silence.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import aiohttp

from router.control.outside.outside import body_of, outside_session
from router.core.foreign import ANSWER, read
from router.core.gates.gate import Measurement
from router.core.gates.polled import Calling, Polled
from router.core.gates.prometheus import Prometheus
from router.core.gates.webhook import Webhook
from router.core.policy import Route
from router.core.urls import checked_url
from router.loops import BOOKS, background

ASKED_AT_ONCE_MAX: Final = 32
ANSWER_BYTES_MAX: Final = 1_048_576
SERIES_MAX: Final = 1_000
RETRIES: Final = 1
RETRY_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One gate that wants an answer now."""

    route: str
    gate: Polled
    about: Mapping[str, str | int]
    """What a webhook is told: route, candidate, stable, phase, step, weight."""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Header fields, of the policy of the moment."""


OnAnswer = Callable[[Inquiry, Measurement], None]


class Asker:
    """Carries questions out and hands the answers in; at most one per gate at a time."""

    def __init__(self, on_answer: OnAnswer) -> None:
        self._on_answer = on_answer
        self._session: aiohttp.ClientSession
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Asker {len(self._tasks)} questions under way>"

    async def __aenter__(self) -> Self:
        self._session = outside_session()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._session.close()

    def ask(self, question: Inquiry) -> None:
        """Ask in the background, unless the last question of this gate is still under way."""
        key = (question.route, question.gate.title)
        if key in self._tasks or len(self._tasks) >= ASKED_AT_ONCE_MAX:
            return
        task = background("questions", self._carry(question))
        self._tasks[key] = task
        task.add_done_callback(lambda _done: self._tasks.pop(key, None))

    async def _carry(self, question: Inquiry) -> None:
        measurement = Measurement(error="not asked")
        for attempt in range(RETRIES + 1):
            if attempt:
                await asyncio.sleep(RETRY_PAUSE_S)
            try:
                async with asyncio.timeout(question.gate.timeout):
                    measurement = await self._answer(question)
                break
            except TimeoutError:
                measurement = Measurement(error=f"no answer within {question.gate.timeout:g} s")
            except (aiohttp.ClientError, OSError, ValueError) as error:
                measurement = Measurement(error=f"{type(error).__name__}: {error}"[:200])
            except Exception as error:  # noqa: BLE001 - whatever an answer did: none came
                BOOKS.failed("questions", error)
                measurement = Measurement(error=f"unreadable: {type(error).__name__}")
        self._on_answer(question, measurement)

    async def _answer(self, question: Inquiry) -> Measurement:
        gate = question.gate
        if isinstance(gate, Prometheus):
            url = checked_url(f"{gate.url.rstrip('/')}/api/v1/query")
            return parsed(await self._request(url, gate.query, question.headers))
        if not isinstance(gate, Webhook):
            return Measurement(error=f"nothing here knows how to ask for {gate.kind}")
        status = await self._post(checked_url(gate.url), question.about, question.headers)
        if status >= 500 or status in (408, 429):
            return Measurement(error=f"the hook answered {status}")
        return Measurement((1.0,) if 200 <= status < 300 else (0.0,))

    async def _request(self, url: str, query: str, headers: dict[str, str]) -> bytes:
        async with self._session.get(
            url, params={"query": query}, headers=headers, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise ValueError(f"Prometheus answered {response.status}")
            return await body_of(response, ANSWER_BYTES_MAX)

    async def _post(self, url: str, about: Mapping[str, str | int], headers: dict[str, str]) -> int:
        async with self._session.post(
            url, json=about, headers=headers, allow_redirects=False
        ) as response:
            return response.status


def headers_of(route: Route, gate: Calling) -> dict[str, str]:
    """The gate's header fields, from the policy of the moment.

    The policy that a rollout began with is kept without secrets, and a secret may have changed
    since. One that is no longer in the file, or asks elsewhere now, gets none.
    """
    for known in route.rollout.gates if route.rollout else ():
        if isinstance(known, Calling) and (known.kind, known.title, known.url) == (
            gate.kind,
            gate.title,
            gate.url,
        ):
            return {name: value.get_secret_value() for name, value in known.headers.items()}
    return {}


def parsed(body: bytes) -> Measurement:
    """The values of an instant query's answer (Prometheus HTTP API, vector or scalar)."""
    try:
        answer = read(body, ANSWER)
        if answer["status"] != "success":
            return Measurement(error=f"Prometheus: {answer.get('error', 'no success')}"[:200])
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            return Measurement((float(result[1]),))
        if kind != "vector":
            return Measurement(error=f"expected a vector or a scalar, got a {kind}")
        values = tuple(float(series["value"][1]) for series in result[:SERIES_MAX])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return Measurement(error=f"no answer of Prometheus: {error!r}"[:200])
    return Measurement(tuple(math.nan if math.isnan(v) else v for v in values))
