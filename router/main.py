"""The composition root: builds the router, runs it, drains it. The one file that knows everything.

    python -m router.main POLICY [--force] [--replica NAME]

SIGTERM and SIGINT drain: listeners close, what is under way is finished, exit 0. A second signal
ends at once. SIGHUP reads the policy again.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router import __version__
from router.admin.following import Following
from router.admin.server import AdminServer
from router.agent.command import EnvoyMissingError, envoy_left, folder_of, usable
from router.agent.command import command as agent_command
from router.config.check import LoadedPolicy, load
from router.config.named_files import servable
from router.config.problems import PolicyError
from router.config.watch import POLL_INTERVAL_S, fingerprint
from router.control.fleet.beginning import CommandLine, worker_command
from router.control.fleet.fleet import Hears
from router.control.fleet.local import local
from router.control.fleet.own_counts import OwnCounts
from router.control.fleet.workers import Workers
from router.control.plane import Plane
from router.control.reviews.places import kept_questions
from router.control.state.errors import PolicyRejected, StoreDamaged, StoreLocked
from router.control.state.places import installed, local_path, shared, shared_store
from router.control.state.sqlite import SqliteStore
from router.control.state.store import Store
from router.control.told.followed import Followed
from router.core.policy import Policy
from router.core.quantities import NAME_FORM
from router.core.spec import import_all
from router.garbage import Garbage
from router.link.spare import Spare
from router.loops import BOOKS, LoopFailure, awaited, background, forever, my_turn
from router.stopping import Signals, unless_hurried, unless_stopped
from router.telemetry.log import configure, get_logger

if TYPE_CHECKING:
    from router.control.fleet.follower import Follower

EXIT_OK, EXIT_UNEXPECTED, EXIT_POLICY, EXIT_CONFLICT = 0, 1, 2, 5

LATE_S = 20.0
"""Beyond the drain time: for the last words on a slow disk, for workers that have to be killed."""
KILLED_S = 10.0
"""For the rest, once the workers are killed."""
LEAD_AGAIN_S = 1.0
"""Before a router that could not lead tries again, if no other one does meanwhile."""

log = get_logger("router")


async def run(
    policy_path: str | Path,
    *,
    force: bool = False,
    signals: Signals | None = None,
    on_ready: Callable[[Plane, AdminServer], None] = lambda _plane, _admin: None,
    command: CommandLine = worker_command,
    spare: Spare | None = None,
    member: str = "",
    on_follow: Callable[[], None] = lambda: None,
) -> int:
    """Serve until told to stop; the exit status. Problems are written to the log, not raised.

    ``member``: this router's name among those that share a database, if it is one of several.
    """
    asked = signals or Signals()
    if signals is None:
        asked.install()
    try:
        loaded = await asyncio.to_thread(lambda: servable(load(policy_path)))
    except PolicyError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_POLICY
    background("imports", asyncio.to_thread(import_all))
    path = store_path(loaded)
    try:
        carriers = partial(
            local, command=_carrier(loaded, path) or command, pids_file=beside(path, ".workers"),
            neighbour=partial(envoy_left, folder_of(path)), spare=spare,
        )  # fmt: skip
        if member:
            follows = _Follows(Path(policy_path), force, carriers, on_ready, on_follow)
            return await _member(member, loaded, follows, asked)
        store = _store(loaded.policy.store, path)
    except (StoreDamaged, EnvoyMissingError) as error:
        return _refused("cannot_start", error, EXIT_UNEXPECTED)
    replica = platform.node()
    plane = Plane(
        loaded, store, fleet=carriers(replica=replica), replica=replica,
        reviews=kept_questions(loaded.policy.store, beside(path, ".reviews")),
    )  # fmt: skip
    admin = AdminServer(plane.controller, loaded.policy.admin)
    plane.source.also = lambda policy: _followed(admin, policy)
    try:
        if not await _started(plane, asked, plane.start(force=force, bind=admin.bind)):
            await plane.kill()
            return EXIT_OK
        return await _serve(plane, admin, asked, on_ready)
    except PolicyRejected as error:
        return _refused("policy_rejected", error, EXIT_POLICY)
    except StoreLocked as error:
        return _refused("store_locked", error, EXIT_CONFLICT)
    except (StoreDamaged, OSError) as error:
        return _refused("cannot_start", error, EXIT_UNEXPECTED)
    finally:
        with suppress(OSError):
            await admin.close()


@dataclass(frozen=True)
class _Follows:
    """What a router needs that is one of several."""

    policy: Path
    force: bool
    workers: Callable[..., Callable[[Policy, Hears], Workers]]
    on_ready: Callable[[Plane, AdminServer], None]
    on_follow: Callable[[], None]


@dataclass
class _Member:
    """One of several routers, for as long as its process lives."""

    follower: Follower
    own: OwnCounts
    admin: AdminServer
    path: Path
    loaded: LoadedPolicy
    """Of the policy file, as it was good last."""
    _read: str = ""

    async def changed(self) -> bool:
        """Look at the file: whether there is a new policy. What is not good changes nothing."""
        found = await asyncio.to_thread(fingerprint, self.path)
        if found == self._read:
            return False
        good = True
        try:
            self.loaded = await asyncio.to_thread(load, self.path)
        except PolicyError:  # who leads tells of it
            good = False
        self._read = found  # not where this was cancelled: then it is read again
        return good


async def _member(name: str, loaded: LoadedPolicy, follows: _Follows, asked: Signals) -> int:
    """One of several routers on a database: it follows who leads, and leads when nobody does."""
    try:
        member = _made(name, loaded, follows)
        follower, admin = member.follower, member.admin
        await admin.bind()
    except (StoreDamaged, OSError) as error:
        return _refused("cannot_start", error, EXIT_UNEXPECTED)
    follower.admin = admin.url
    try:
        if not await unless_stopped(follower.open(), asked):
            return EXIT_OK
        await admin.start()
        while await unless_stopped(_follow(member), asked):
            await member.changed()
            status = await _lead(member, follows, asked)
            if status is not None:
                return status
        await admin.close()
        drain_s = member.loaded.policy.limits.drain
        log.info("draining", within_s=drain_s)
        await unless_hurried(follower.stop(drain_s), asked)
    except PolicyRejected as error:
        return _refused("policy_rejected", error, EXIT_POLICY)
    except StoreLocked as error:
        return _refused("store_locked", error, EXIT_CONFLICT)
    except (StoreDamaged, OSError) as error:
        return _refused("cannot_start", error, EXIT_UNEXPECTED)
    finally:
        await follower.workers.kill()  # those that are left
        with suppress(OSError):
            await admin.close()
    log.info("stopped")
    return EXIT_OK


async def _follow(member: _Member) -> None:
    """Until nobody leads. Meanwhile tokens, names and certificate are those of the policy file."""

    async def look() -> None:
        await asyncio.sleep(POLL_INTERVAL_S)
        if await member.changed():
            _admin_follows(member.admin, member.loaded.policy)

    looking = background("admin-policy", forever("admin-policy", look))
    try:
        await member.follower.follow()
    finally:
        looking.cancel()


def _made(name: str, loaded: LoadedPolicy, follows: _Follows) -> _Member:
    """Raises StoreDamaged."""
    policy = loaded.policy
    if not shared(policy.store):
        raise StoreDamaged("--replica wants `store: postgresql://...`")
    with installed(policy.store):
        from router.control.fleet.follower import Follower  # noqa: PLC0415 - of an extra
        from router.control.fleet.telling import ReplicaWords  # noqa: PLC0415 - with it
        from router.control.state.postgres_exchange import Me  # noqa: PLC0415 - with it
    follows.on_follow()
    me = Me(name)
    telling = ReplicaWords(me)
    own = OwnCounts(telling)
    workers = follows.workers(replica=name)(policy, own)
    follower = Follower(policy.store, me, workers, telling, policy.engine, metrics=own.metrics)
    admin = AdminServer(None, policy.admin, following=Following(Followed(follower, own)))
    return _Member(follower, own, admin, follows.policy, loaded)


async def _lead(member: _Member, follows: _Follows, asked: Signals) -> int | None:
    """Lead until stopped: the exit status; None where it goes on as one that follows.

    Who serves already goes on with that, whatever keeps it from leading.
    """
    from router.control.fleet.replicated import Replicated  # noqa: PLC0415 - of an extra
    from router.control.state.postgres import PostgresStore  # noqa: PLC0415 - of an extra

    follower, admin, loaded = member.follower, member.admin, member.loaded
    force = follows.force and not follower.began  # it is for the start
    store = PostgresStore(follower.url, wait_s=0.0, succeeds=False)
    plane = Plane(
        loaded, store, fleet=lambda _policy, hears: Replicated(follower, store.lease, hears),
        replica=follower.me.replica,
        reviews=follower.people.inbox, metrics=member.own.metrics,
    )  # fmt: skip
    plane.source.also = lambda policy: _followed(admin, policy)
    try:
        if not await _started(plane, asked, plane.start(force=force)):
            return None
        admin.lead(plane.controller)
        status = await _serve(plane, admin, asked, follows.on_ready)
    except StoreLocked:  # another one was quicker
        return None
    except (PolicyRejected, StoreDamaged, OSError) as error:
        if not follower.began:
            raise
        log.error("cannot_lead", error=str(error))  # noqa: TRY400 - the text says it all
        await unless_stopped(asyncio.sleep(LEAD_AGAIN_S), asked)
        return None
    return None if status == EXIT_CONFLICT else status


async def _serve(
    plane: Plane, admin: AdminServer, asked: Signals, on_ready: Callable[[Plane, AdminServer], None]
) -> int:
    drain_s = plane.loaded.policy.limits.drain
    status = EXIT_OK
    try:
        await admin.start()
        if await unless_stopped(_serving(plane), asked):
            log.info(
                "serving",
                version=__version__,
                listen=plane.fleet.listen,
                admin=admin.url,
                routes=len(plane.reconciler.runs),
            )
            on_ready(plane, admin)
            await _until_stopped(plane, asked)
    except StoreLocked as error:  # another router leads; whoever starts us again waits for it
        status = _refused("store_lost", error, EXIT_CONFLICT)
    except OSError as error:
        status = _refused("cannot_start", error, EXIT_UNEXPECTED)
        drain_s = 0.0
    except Exception:
        # A broken invariant: stop loudly; a supervisor starts us again from the stored state.
        log.exception("broken")
        status = EXIT_UNEXPECTED
    with suppress(OSError):
        if not await admin.follow() or status != EXIT_CONFLICT:
            await admin.close()  # a successor that takes over needs the address
    if not await _drain(plane, asked, drain_s):
        status = status or EXIT_UNEXPECTED
    return status


async def _serving(plane: Plane) -> None:
    """Until workers serve, and what the start has begun may be ordered about."""
    await plane.fleet.serving()
    await plane.begun()


def _started(plane: Plane, asked: Signals, start: Coroutine[Any, Any, None]) -> Awaitable[bool]:
    """Whether it was. Once its workers may serve, a start that is told to stop goes on to drain."""
    return unless_stopped(start, asked, begun=lambda: plane.carries)


async def _until_stopped(plane: Plane, asked: Signals) -> None:
    jobs = (
        awaited(asked.stop.wait()),
        awaited(plane.watch_tasks()),
        awaited(forever("reload", partial(_reload_on_demand, plane, asked))),
    )
    try:
        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            job.result()
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def _reload_on_demand(plane: Plane, asked: Signals) -> None:
    await asked.reload.wait()
    asked.reload.clear()
    with suppress(PolicyRejected):  # told by the source; the last good policy stays
        await plane.source.reload(actor="SIGHUP")


async def _drain(plane: Plane, asked: Signals, drain_s: float) -> bool:
    """Whether everything that was in force is on the disk."""
    log.info("draining", within_s=drain_s)
    stopping = awaited(plane.stop(drain_s=drain_s))
    hurry = awaited(asked.hurry.wait())
    done, _ = await asyncio.wait(
        {stopping, hurry}, timeout=drain_s + LATE_S, return_when=asyncio.FIRST_COMPLETED
    )
    hurry.cancel()
    if stopping not in done:
        await plane.kill()
        await asyncio.wait({stopping}, timeout=KILLED_S)
    if not stopping.done():  # whatever hangs, a router that is told to stop ends
        stopping.cancel()
        log.error("not_stopped", within_s=drain_s + LATE_S + KILLED_S)
        return False
    if lost := stopping.result():
        said = "the store never took its last move: it begins before that; look at `rampway get`"
        log.error("not_written", routes=list(lost), error=said)
    log.info("stopped")
    return not lost


def _followed(admin: AdminServer, policy: Policy) -> tuple[str, ...]:
    """What is to be done when a policy was accepted."""
    gc.freeze()  # what it is made of lives long: see router.garbage
    return _admin_follows(admin, policy)


def _admin_follows(admin: AdminServer, policy: Policy) -> tuple[str, ...]:
    """Tokens, names and certificate of an accepted policy; what cannot be used changes nothing."""
    try:
        admin.update(policy.admin)
    except (OSError, ValueError) as error:
        log.error("admin_not_updated", error=str(error))  # noqa: TRY400 - the text says it all
        return (f"admin: {error}; tokens, names and certificate stay as they were",)
    return ()


def _carrier(loaded: LoadedPolicy, path: Path) -> CommandLine | None:
    """What is started to carry the traffic; None: workers. Raises EnvoyMissingError."""
    if loaded.policy.engine != "envoy":
        return None
    usable()
    return partial(agent_command, folder_of(path), loaded.policy.workers)


def beside(path: Path, suffix: str) -> Path:
    """A file that goes with the store."""
    return path.with_name(path.name + suffix)


def store_path(loaded: LoadedPolicy) -> Path:
    """The file of the store, or what the files are called that go with a database."""
    return local_path(loaded.policy.store, loaded.policy.listen)


def _store(url: str, path: Path) -> Store:
    return shared_store(url) if shared(url) else SqliteStore(path)


def _refused(event: str, error: Exception, status: int) -> int:
    """Why there is no router: an event for programs, and a line for whoever typed the command."""
    strerror = error.strerror if isinstance(error, OSError) else None
    said = strerror or str(error)
    log.error(event, error=said)
    sys.stderr.write(f"rampway: {said}\n")
    return status


def _told(failure: LoopFailure) -> None:
    log.error("loop_failed", loop=failure.loop, error=failure.error, stack=failure.stack)


async def program(
    policy_path: str | Path, *, force: bool = False,
    on_ready: Callable[[Plane, AdminServer], None] = lambda _plane, _admin: None,
    spare: Spare | None = None, member: str = "",
) -> int:  # fmt: skip
    """:func:`run` in a process of its own, whose garbage is looked after."""
    garbage = Garbage(my_turn)

    def follows() -> None:
        garbage.begin()
        background("garbage", forever("garbage", garbage.turn))

    def ready(plane: Plane, admin: AdminServer) -> None:
        if not member:
            follows()
        on_ready(plane, admin)

    return await run(
        policy_path, force=force, on_ready=ready, spare=spare, member=member, on_follow=follows
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="python -m router.main", description="Run the router.")
    parser.add_argument("policy", help="policy file (YAML)")
    parser.add_argument(
        "--force", action="store_true", help="start although the policy conflicts with the state"
    )
    parser.add_argument("--replica", help="its name among routers on one database")
    parser.add_argument("--log", choices=("auto", "json", "console"), default="auto")
    arguments = parser.parse_args(argv)
    return serve(
        arguments.policy, force=arguments.force, member=arguments.replica, told=arguments.log
    )


def serve(
    policy_path: str | Path, *, force: bool = False, member: str | None = None, told: str = "auto",
    spare: Spare | None = None,
) -> int:  # fmt: skip
    """The router as this process; its exit status. ``told``: how the log is written.

    ``spare``: a process that becomes the first worker.
    """
    try:
        name = "" if member is None else NAME_FORM.check(member)
    except ValueError as error:
        sys.stderr.write(f"rampway: --replica: {error}\n")
        return EXIT_POLICY
    configure(json={"auto": None, "json": True, "console": False}[told])
    BOOKS.tell = _told
    return asyncio.run(program(policy_path, force=force, spare=spare, member=name))


if __name__ == "__main__":
    sys.exit(main())
