"""Everything that must run before the play can begin: services, router, policy file."""

import asyncio
import contextlib
import importlib.util
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from prediction_services.cache import DEFAULT_CACHE
from prediction_services.demo.admin import Admin
from prediction_services.demo.cast import CAST, V2, Player
from prediction_services.demo.policy import PolicyFile
from prediction_services.demo.process import RouterProcess, free_address
from prediction_services.fleet import Fleet, Service

POLICY_NAME = "rampway.yaml"

WAITING_MAX = 1_000
"""Predictions that may wait in a service: a machine that is short of breath for a moment must make
answers late, not refuse them."""

Say = Callable[[str], None]


class SetupError(Exception):
    """The stage could not be set; the message says what to do."""


@dataclass(frozen=True, slots=True)
class StageOptions:
    """Where and what to set up.

    Attributes:
        folder: for policy, state and logs; emptied of an earlier run.
        cache: of data and models.
        cast: the versions that are started.
        port, admin_port: wanted ports of the router; 0 or a taken one: another is drawn.
        engine: what carries the traffic, `built-in` or `envoy`.
    """

    folder: Path = Path("demo-run")
    cache: Path = DEFAULT_CACHE
    cast: tuple[Player, ...] = CAST
    port: int = 0
    admin_port: int = 0
    engine: str = "built-in"


class Stage:
    """Sets everything up on entry and surely takes it down on leaving.

    Attributes:
        services: the running services by name.
        policy: what the policy file says now.
        admin: the router's admin interface.
    """

    def __init__(self, options: StageOptions, say: Say) -> None:
        self.options = options
        self.services: dict[str, Service] = {}
        self._say = say
        self._stack = contextlib.AsyncExitStack()
        self.policy: PolicyFile
        self.admin: Admin
        self.router: RouterProcess

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where clients ask."""
        return f"http://{self.policy.listen}"

    @property
    def policy_path(self) -> Path:
        """The file the router watches."""
        return self.options.folder / POLICY_NAME

    def write(self, policy: PolicyFile) -> None:
        """Save the policy file as an editor does: whole, by one rename."""
        partial = self.policy_path.with_suffix(".new")
        partial.write_text(policy.text())
        partial.replace(self.policy_path)
        self.policy = policy

    async def _set_up(self) -> None:
        if importlib.util.find_spec("sklearn") is None:
            raise SetupError("the models need scikit-learn: pip install 'rampway[demo]'")
        folder = self.options.folder
        if folder.exists() and not _ours(folder):
            raise SetupError(
                f"{folder} exists and is not of an earlier demo; name another --folder"
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        await self._start_services()
        self._say("starting the router")
        self.write(
            PolicyFile(
                endpoints={name: service.url for name, service in self.services.items()},
                stable=V2.name,
                listen=free_address(self.options.port),
                admin=free_address(self.options.admin_port),
                engine=self.options.engine,
            )
        )
        self.admin = await self._stack.enter_async_context(Admin(f"http://{self.policy.admin}"))
        self.router = await self._stack.enter_async_context(
            RouterProcess(self.policy_path, folder / "router.log")
        )
        await self.router.wait_ready(self.admin)

    async def _start_services(self) -> None:
        self._say(
            f"starting {len(self.options.cast)} prediction services; "
            "the first start trains their models on real flights"
        )
        fleet = await self._stack.enter_async_context(
            Fleet(cache=self.options.cache, log_dir=self.options.folder / "services")
        )
        started = await asyncio.gather(*self._starts(fleet), return_exceptions=True)
        for player, service in zip(self.options.cast, started, strict=True):
            if isinstance(service, BaseException):
                raise service
            self.services[player.name] = service

    def _starts(self, fleet: Fleet) -> Iterable[asyncio.Future[Service]]:
        return (
            asyncio.ensure_future(
                fleet.start_one(player.runs, name=player.name, waiting=WAITING_MAX)
            )
            for player in self.options.cast
        )


def _ours(folder: Path) -> bool:
    """Whether a folder is empty or was made by an earlier demo."""
    return (
        not any(folder.iterdir())
        or (folder / POLICY_NAME).exists()
        or (folder / "services").exists()
    )
