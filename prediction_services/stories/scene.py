"""What a short play is made of: services, a router, clients, and the product's own command."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from aiohttp import web

from prediction_services import MODEL_NAME
from prediction_services.demo.admin import Admin
from prediction_services.demo.process import RouterProcess, free_address
from prediction_services.fleet import Fleet, Service

POLL_S = 0.1
PATIENCE_S = 60.0
"""Longest wait for anything that has to happen."""
TOGETHER = 8
"""Clients that ask at once."""

HEAD = """\
listen: {listen}
admin: {{listen: {admin}}}
store: sqlite:///{folder}/rampway.db
"""
ROUTE = f"""\
routes:
  - name: {MODEL_NAME}
    match: {{path: /v2/models/{MODEL_NAME}/*}}
    payload: open_inference_v2
    predictions: {{label: predict, score: predict_proba, classes: [0, 1], sample: 100%}}
"""
"""How every play's route begins."""


class PlayError(Exception):
    """What had to happen did not; the message says what."""


class Answer(NamedTuple):
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    document: Any

    @property
    def version(self) -> str:
        """Who answered."""
        return self.headers.get("X-Rampway-Version", "")


def asking(flight_id: str) -> dict[str, Any]:
    """A request for one flight."""
    data = {"name": "flight_id", "shape": [1], "datatype": "BYTES", "data": [flight_id]}
    return {"inputs": [data]}


class Scene:
    """See the module; everything is surely ended on leaving."""

    def __init__(self, cache: Path, say: Callable[[str], None]) -> None:
        self.cache = cache
        self.say = say
        self.services: dict[str, Service] = {}
        self._stack = contextlib.AsyncExitStack()
        self.folder: Path
        self.admin: Admin
        self._url = ""
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        temporary = tempfile.TemporaryDirectory(prefix="rampway-story-")
        self.folder = Path(self._stack.enter_context(temporary))
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def policy(self) -> Path:
        """The file the router watches."""
        return self.folder / "rampway.yaml"

    async def start(self, *versions: str) -> None:
        """Start these prediction services."""
        fleet = await self._stack.enter_async_context(Fleet(cache=self.cache))
        for service in await fleet.start(*versions):
            self.services[service.name] = service

    async def serve(self, route: str, head: str = "") -> None:
        """Start the router with this route; `<v2>` stands for a service's URL."""
        listen, admin = free_address(), free_address()
        text = HEAD.format(listen=listen, admin=admin, folder=self.folder) + head + route
        for name, service in self.services.items():
            text = text.replace(f"<{name}>", service.url)
        self.policy.write_text(text.replace("<folder>", str(self.folder)))
        self._url = f"http://{listen}"
        self.admin = await self._stack.enter_async_context(Admin(f"http://{admin}"))
        process = RouterProcess(self.policy, self.folder / "router.log")
        router = await self._stack.enter_async_context(process)
        await router.wait_ready(self.admin)

    async def ask(self, flight_id: str, **headers: str) -> Answer:
        """One client asks about a flight."""
        url = f"{self._url}/v2/models/{MODEL_NAME}/infer"
        async with self._session.post(url, json=asking(flight_id), headers=headers) as response:
            document = await response.json(content_type=None)
            return Answer(response.status, dict(response.headers), document)

    async def many(self, flight_ids: Iterable[str], *, together: int = TOGETHER) -> list[Answer]:
        """So many clients ask, each one flight after the other."""
        waiting, answers = iter(flight_ids), list[Answer]()

        async def client() -> None:
            for flight_id in waiting:
                answers.append(await self.ask(flight_id))

        await asyncio.gather(*(client() for _ in range(together)))
        return answers

    async def until(
        self, what: str, reached: Callable[[dict[str, Any]], bool], *,
        asked: Sequence[str] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """Wait until the rollout's status is so, while clients ask about these flights.

        Raises:
            PlayError: not within `PATIENCE_S`.
        """
        at, status = 0, await self.admin.rollout() or {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not reached(status):
                    if asked:
                        await self.many(asked[at % len(asked) :][:20])
                        at += 20
                    await asyncio.sleep(POLL_S)
                    status = await self.admin.rollout() or {}
                return status
        raise PlayError(f"waited {PATIENCE_S:g} s in vain: {what}; {status.get('sentence')}")

    async def patiently(self, what: str, reached: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it is so.

        Raises:
            PlayError: not within `PATIENCE_S`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not await reached():  # noqa: ASYNC110 - another process makes it so
                    await asyncio.sleep(POLL_S)
                return
        raise PlayError(f"waited {PATIENCE_S:g} s in vain: {what}")

    async def host(self, handle: Callable[[web.BaseRequest], Awaitable[web.Response]]) -> str:
        """Serve this beside the router, until the play is over; its URL."""
        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        name, _, port = free_address().partition(":")
        await web.TCPSite(runner, name, int(port)).start()
        return f"http://{name}:{port}"

    async def api(self, path: str, body: Any = None) -> Any:
        """The router's answer to a GET, or a POST with a body."""
        url, method = f"{self.admin.url}{path}", "GET" if body is None else "POST"
        async with self._session.request(method, url, json=body) as response:
            answer = await response.json(content_type=None)
            if response.status != 200:
                raise PlayError(f"{path}: {response.status} {answer}")
            return answer

    async def rampway(self, *words: str) -> tuple[int, str]:
        """A command of the product: its status and what it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "router", *words),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    def expect(self, *, met: bool, text: str) -> None:
        """Say it, if it is so.

        Raises:
            PlayError: it is not.
        """
        if not met:
            raise PlayError(f"expected: {text}")
        self.say(text)
