"""The open-loop client."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson

from prediction_services import MODEL_NAME
from prediction_services.load.arrivals import USERS_DEFAULT, ZIPF_EXPONENT, Arrival, Arrivals
from prediction_services.load.client import Client, TransportError
from prediction_services.load.tally import Tally
from prediction_services.load.trips import Trip

OPEN_MAX = 2_000
"""Requests open at once. An arrival beyond is counted as `not_sent`, never silently dropped."""

RATE_MAX_PER_S = 5_000.0

TRUTHS_MAX = 100_000
"""Labels kept until `take_truths`; the oldest go first."""

TIMELINE_MAX_S = 3_600
"""Seconds of history kept; the oldest go first."""

TIMEOUT_S = 10.0
"""How long a client waits for the whole answer, unless told otherwise."""

USER_HEADER, REQUEST_ID_HEADER = "X-User-Id", "X-Request-Id"
VERSION_HEADER = "X-Rampway-Version"


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request ended for its client.

    Attributes:
        request_id: sent as `X-Request-Id` and as `id` of the body.
        user: sent as `X-User-Id`.
        trip: what was asked.
        latency_s: from the planned moment of sending to the last byte or the error.
        status: None when no complete answer came.
        version: `X-Rampway-Version`, else the body's `model_version`, else None.
        score: probability of a late arrival; None unless the answer is good.
        problem: what is wrong with the transport (`status` is None) or with the body of a 200.
    """

    request_id: str
    user: str
    trip: Trip
    latency_s: float
    status: int | None
    version: str | None
    score: float | None
    problem: str | None

    @property
    def good(self) -> bool:
        """Whether it is a 200 with the prediction that was asked for."""
        return self.score is not None


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened to a flight somebody got a prediction for.

    Attributes:
        request_id: of the prediction.
        version: which version gave it.
        score: the probability it gave.
        late: the true label.
    """

    request_id: str
    version: str | None
    score: float
    late: bool


class LoadGenerator:
    """Sends flights in time order at a mean rate, and counts.

        async with LoadGenerator(url, trips, rate_per_s=200, seed=1) as load:
            await asyncio.sleep(10)
            load.rate_per_s = 400
            ...
        print(load.tally.as_dict())

    Leaving the block stops sending and waits for the open requests, so that afterwards every
    arrival has been counted.

    Args:
        url: base URL; asks `/v2/models/flight-delay/infer` below it.
        trips: what is asked, in this order.
        rate_per_s: mean of the Poisson arrivals, above 0 up to `RATE_MAX_PER_S`.
        seed: of the plan; also the prefix of the request ids.
        users: how many different users there are.
        exponent: of their Zipf popularity.
        timeout_s: how long a client waits for the whole answer.
        limit: stop by itself after so many arrivals; None for no end.
        on_answer: called in the event loop with every end of a request; must be quick.
    """

    def __init__(
        self,
        url: str,
        trips: Sequence[Trip],
        *,
        rate_per_s: float,
        seed: int = 0,
        users: int = USERS_DEFAULT,
        exponent: float = ZIPF_EXPONENT,
        timeout_s: float = TIMEOUT_S,
        limit: int | None = None,
        on_answer: Callable[[Answer], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self.timeline: deque[tuple[int, Tally]] = deque(maxlen=TIMELINE_MAX_S)
        self.pacing_lag_max_s = 0.0
        self.rate_per_s = rate_per_s
        self._client = Client(
            f"{url.rstrip('/')}/v2/models/{MODEL_NAME}/infer",
            {"Content-Type": "application/json", "User-Agent": "prediction-services-load"},
        )
        self._arrivals = Arrivals(trips, seed=seed, users=users, exponent=exponent)
        self._seed = seed
        self._timeout_s = timeout_s
        self._limit = math.inf if limit is None else limit
        self._on_answer = on_answer
        self._truths: deque[Truth] = deque(maxlen=TRUTHS_MAX)
        self._open: set[asyncio.Task[None]] = set()
        self._pacer: asyncio.Task[None] | None = None
        self._begun_s = self._ended_s = 0.0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def rate_per_s(self) -> float:
        """Mean arrivals a second; may be set while running, from the next arrival on."""
        return self._rate_per_s

    @rate_per_s.setter
    def rate_per_s(self, rate_per_s: float) -> None:
        if not 0 < rate_per_s <= RATE_MAX_PER_S:
            raise ValueError(f"rate_per_s: expected above 0 up to {RATE_MAX_PER_S:g}")
        self._rate_per_s = rate_per_s

    @property
    def open(self) -> int:
        """Requests without an answer yet."""
        return len(self._open)

    @property
    def seconds(self) -> float:
        """How long it has been sending."""
        return (self._ended_s or time.perf_counter()) - self._begun_s if self._begun_s else 0.0

    async def start(self) -> None:
        """Begin to send."""
        if self._pacer is not None:
            raise RuntimeError("already started")
        self._begun_s = time.perf_counter()
        self._pacer = asyncio.create_task(self._pace())

    async def stop(self) -> None:
        """Stop sending, then wait until every open request has ended, by its timeout at most."""
        if self._pacer is None:
            return
        self._pacer.cancel()
        await asyncio.wait([self._pacer])
        self._ended_s = self._ended_s or time.perf_counter()
        if self._open:
            await asyncio.wait(self._open)
        self._client.close()
        if not self._pacer.cancelled():
            self._pacer.result()  # a plan that broke must not look like a quiet end

    async def finished(self) -> None:
        """Wait until `limit` arrivals have been sent and all have ended."""
        if self._pacer is not None:
            await asyncio.wait([self._pacer])
        if self._open:
            await asyncio.wait(self._open)

    def take_truths(self) -> list[Truth]:
        """True labels of the predictions answered since the last call, for feedback."""
        truths = list(self._truths)
        self._truths.clear()
        return truths

    def report(self) -> dict[str, Any]:
        """The whole run as JSON-ready values."""
        return {
            "seconds": round(self.seconds, 3),
            "rate_per_s": self.rate_per_s,
            "seed": self._seed,
            "pacing_lag_max_ms": round(self.pacing_lag_max_s * 1000, 3),
            **self.tally.as_dict(),
        }

    async def _pace(self) -> None:
        """Start every request at its planned moment, late ones at once."""
        due_s = time.perf_counter()
        for arrival in self._arrivals:
            if arrival.number >= self._limit:
                break
            due_s += arrival.wait / self._rate_per_s
            # Sleeping even when late lets answers in between a burst of overdue requests.
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            self.pacing_lag_max_s = max(self.pacing_lag_max_s, time.perf_counter() - due_s)
            if len(self._open) >= OPEN_MAX:
                self.tally.not_sent += 1
                self._second().not_sent += 1
                continue
            task = asyncio.create_task(self._ask(arrival, due_s))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        self._ended_s = time.perf_counter()

    async def _ask(self, arrival: Arrival, due_s: float) -> None:
        request_id = f"{self._seed}-{arrival.number}"
        status, version, score, problem = await self._exchange(request_id, arrival)
        latency_s = time.perf_counter() - due_s
        user, trip = arrival.user, arrival.trip
        answer = Answer(request_id, user, trip, latency_s, status, version, score, problem)
        self.tally.record(answer)
        self._second().record(answer)
        if score is not None and trip.late is not None:
            self._truths.append(Truth(request_id, version, score, trip.late))
        if self._on_answer is not None:
            self._on_answer(answer)

    async def _exchange(
        self, request_id: str, arrival: Arrival
    ) -> tuple[int | None, str | None, float | None, str | None]:
        """Status, version, score and problem of one request."""
        try:
            reply = await self._client.post(
                _body(request_id, arrival.trip.flight_id),
                {USER_HEADER: arrival.user, REQUEST_ID_HEADER: request_id},
                self._timeout_s,
            )
        except TransportError as error:
            return None, None, None, error.kind
        status, version = reply.status, reply.headers.get(VERSION_HEADER.lower())
        if status != 200:
            return status, version, None, None
        score, model_version, problem = _read(reply.body, request_id)
        return status, version or model_version, score, problem

    def _second(self) -> Tally:
        """The tally of the running second."""
        second = int(time.perf_counter() - self._begun_s)
        if not self.timeline or self.timeline[-1][0] != second:
            self.timeline.append((second, Tally()))
        return self.timeline[-1][1]


def _body(request_id: str, flight_id: str) -> bytes:
    return (
        f'{{"id":"{request_id}","inputs":[{{"name":"flight_id","shape":[1],'
        f'"datatype":"BYTES","data":["{flight_id}"]}}]}}'
    ).encode()


def _read(body: bytes, request_id: str) -> tuple[float | None, str | None, str | None]:
    """Score, version and problem of a V2 answer for one flight.

    Tensors are found by name and the late column is the last, as `wire.encode_v2` writes them.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, None, "nan" if b"NaN" in body else "not json"
    try:
        version = document["model_version"]
        if document["id"] != request_id:
            return None, version, "answer to another request"
        tensor = next(t for t in document["outputs"] if t["name"] == "predict_proba")
        score = tensor["data"][-1]
    except (KeyError, IndexError, TypeError, StopIteration):
        return None, None, "schema"
    if not isinstance(score, float | int) or not 0 <= score <= 1:
        return None, version, "score out of range"
    return float(score), version, None
