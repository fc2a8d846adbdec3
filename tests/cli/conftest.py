"""The command line in this process, against a real admin server in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from router.__main__ import HIGHER, app
from router.admin import AdminServer
from router.cli.app import attempt
from router.core.policy.server import Admin
from tests.admin.conftest import SECRETS, TOKENS
from tests.admin.fake_controller import FakeController


@dataclass
class Ended:
    """How one command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Router:
    """A server in a thread, so that the blocking client can talk to it."""

    def __init__(self, policy: Admin) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.controller, self.server = self.call(self._start(policy))

    async def _start(self, policy: Admin):
        controller = FakeController()
        server = AdminServer(controller, policy, status_s=0.02)
        await server.start()
        return controller, server

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def observe(self, **seen) -> None:
        async def in_loop():
            self.controller.observe(**seen)

        self.call(in_loop())

    def stop(self) -> None:
        self.call(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    def run(self, *arguments: str) -> Ended:
        return rampway(*arguments, admin=self.server.url)


def rampway(*arguments: str, admin: str | None = None) -> Ended:
    """Run one command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _environment(admin):
        try:
            plainly = attempt(arguments, HIGHER)
            if plainly is None:
                app(args=list(arguments), prog_name="rampway")
            code = int(plainly or 0)
        except SystemExit as ending:
            code = int(ending.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _environment(admin: str | None):
    with pytest.MonkeyPatch.context() as patch:
        if admin:
            patch.setenv("RAMPWAY_ADMIN", admin)
        yield


@pytest.fixture
def router():
    made = Router(Admin(listen="127.0.0.1:0"))
    yield made
    made.stop()


@pytest.fixture
def guarded():
    made = Router(Admin(listen="127.0.0.1:0", tokens=TOKENS))
    yield made
    made.stop()


@pytest.fixture
def token(monkeypatch):
    """Says which role's token the command line carries."""
    return lambda role: monkeypatch.setenv("RAMPWAY_TOKEN", SECRETS[role])
