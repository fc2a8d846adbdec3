"""A running admin server in front of a fake control plane."""

from __future__ import annotations

from contextlib import asynccontextmanager

import aiohttp
import pytest

from router.admin import AdminServer
from router.core.policy.server import Admin, Token
from tests.admin.fake_controller import FakeController

SECRETS = {role: f"{role}-secret-0123456789" for role in ("viewer", "data", "operator", "admin")}
TOKENS = tuple(
    Token(name=f"the-{role}", role=role, token=secret) for role, secret in SECRETS.items()
)


class Site:
    """A server, its control plane and a client that knows its address."""

    def __init__(self, server: AdminServer, controller: FakeController, client) -> None:
        self.server, self.controller, self.client = server, controller, client

    async def get(self, path: str, **headers: str):
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, body: object = None, **headers: str):
        return await self._ask("POST", path, {} if body is None else body, headers)

    async def raw(self, method: str, path: str, data: bytes | None = None, **headers: str):
        return await self._send(method, path, {"data": data}, headers)

    async def _ask(self, method, path, body, headers):
        return await self._send(method, path, {} if body is None else {"json": body}, headers)

    async def _send(self, method, path, content, headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.server.url + path
        async with self.client.request(method, url, headers=named, **content) as answer:
            await answer.read()
            return answer


@asynccontextmanager
async def running(policy: Admin, controller: FakeController | None = None, **options):
    if "following" not in options:  # who follows decides nothing
        controller = controller or FakeController()
    server = AdminServer(controller, policy, **options)
    await server.start()
    try:
        async with aiohttp.ClientSession() as client:
            yield Site(server, controller, client)
    finally:
        await server.close()


@pytest.fixture
async def site():
    """Without tokens: everybody on the machine is an operator."""
    async with running(Admin(listen="127.0.0.1:0"), status_s=0.05) as made:
        yield made


@pytest.fixture
async def guarded():
    """With a token for each role."""
    async with running(Admin(listen="127.0.0.1:0", tokens=TOKENS, hosts=("ops.example",))) as made:
        yield made


def bearer(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[role]}"}
