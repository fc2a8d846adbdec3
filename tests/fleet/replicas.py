"""Several routers on one PostgreSQL, as processes, with clients at each."""

from __future__ import annotations

import asyncio
import contextlib

from tests.fleet.network import DATABASE, SERVICES, spaces_or_skip
from tests.ports import free_port
from tests.postgres_server import server_or_skip
from tests.reliability.whole import Load, Router, Service, Site, in_thread, policy_text, until

HALF = """rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 50%, hold: 1h}, {weight: 80%, hold: 1h}], bake: 1h}}
      gates: [guard: {error_rate: 5%}]
"""


PATIENT = "control_silence: 5m"
"""A busy machine takes longer than 10 s for what is watched while the database is away."""


ANYWHERE = contextlib.nullcontext()


class Life(Router):
    """One that may be on another machine."""

    def __init__(self, within, *arguments, **more):
        self.within = within
        with within:
            super().__init__(*arguments, **more)

    token = ""

    def api(self, path, method="GET", body=None):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else None
        with self.within:
            return super().api(path, method, body, headers)


class Member(Site):
    """One of several, with a folder, a policy and a name of its own; ``within``: its machine."""

    token = ""

    def __init__(self, folder, services, url, name, *, within=ANYWHERE, top=PATIENT):
        folder.mkdir()
        super().__init__(folder, services)
        self.url, self.name, self.within, self.top = url, name, within, top
        self.write()

    def write(self):
        self.file.write_text(policy_text(
            self.folder, self.services, store=self.url, rollout=HALF, port=free_port(), top=self.top
        ))  # fmt: skip

    def start(self, wait=True):
        life = Life(self.within, self.folder, self.file, "--replica", self.name, cwd=self.folder)
        life.token = self.token
        self.lives.append(life)
        if wait:
            self.served(life)
        return life

    def served(self, life):
        try:
            until(lambda: leads(life) or life.heard("following") or ended(life), 60)
        finally:
            began = leads(life) or life.heard("following")
            assert began, "\n".join(m.read_text()[-2000:] for m in self.folder.glob("../*/log-*"))
        assert not ended(life), life.log_file.read_text()[-3000:]
        said = life.heard("following") or life.heard("serving")
        life.port = int(said["listen"].rpartition(":")[2])
        life.admin = said["admin"]

    @property
    def life(self):
        return self.lives[-1]


def ended(life):
    return life.process.poll() is not None


def leads(life):
    """Whether it leads, as it said last; then it has an admin address."""
    said = [one for one in life.lines() if one.get("event") in ("serving", "store_lost")]
    if not said or said[-1]["event"] != "serving":
        return False
    life.admin = said[-1]["admin"]
    return True


class Routers:
    """All of them."""

    makes = Member

    def __init__(self, folder, services, url, machines=(ANYWHERE,) * 3, **more):
        self.members = [
            self.makes(folder / name, services, url, name, within=within, **more)
            for name, within in zip("abc", machines, strict=True)
        ]
        self.services = services

    def start(self):
        """Those that do not run yet."""
        fresh = [member for member in self.members if not member.lives]
        for member in fresh:
            member.start(wait=False)
        for member in fresh:
            member.served(member.life)
        until(self.together, what="all on one generation")
        return self

    @property
    def leader(self):
        return next(m for m in self.members if not ended(m.life) and leads(m.life))

    def health(self):
        return self.leader.life.api("/healthz")[1]

    def together(self):
        """Whether somebody leads and all follow."""
        with contextlib.suppress(StopIteration, OSError):
            return on_all(self.leader.life)
        return False

    def end(self):
        for member in self.members:
            member.end()

    @contextlib.asynccontextmanager
    async def loaded(self):
        async with contextlib.AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(Load(m.life.port, kept=2, fresh=1, within=m.within))
                for m in self.members
            ]


def on_all(life):
    return life.api("/healthz")[1]["replicas"].startswith("3 of 3 ")


def lost(loads):
    return [one for load in loads for one in load.tally.lost]


def answers(loads, what):
    return [load.tally.versions[what] for load in loads]


def forget(loads):
    """Count answers of versions from now on."""
    for load in loads:
        load.tally.versions.clear()


async def each_has(loads, count):
    await asyncio.gather(*(load.more(count) for load in loads))


async def comes_to(loads, share):
    """Until each has only (``share`` 0) or also answers of the candidate again."""
    async with asyncio.timeout(60):
        while True:
            forget(loads)
            await each_has(loads, 40)
            if all(bool(n) is bool(share) for n in answers(loads, "v2")):
                return


async def none_gets(loads, version, count=60):
    """From now on nobody is answered by it, at any router."""
    await each_has(loads, 12)  # what was under way
    forget(loads)
    await each_has(loads, count)
    found = answers(loads, version)
    assert not any(found), found


@contextlib.contextmanager
def networked(folder, **more):
    """Three routers on machines of their own; the server and the versions are on the hub."""
    with contextlib.ExitStack() as made:
        network = spaces_or_skip()
        made.callback(network.end)
        made.enter_context(network.hub)  # whoever is here is at the hub
        server = server_or_skip(DATABASE)
        made.callback(server.end)
        services = [Service(name, folder, SERVICES) for name in ("v1", "v2")]
        for service in services:
            made.callback(service.end)
            service.serving()
        three = Routers(folder, services, server.url, network.machines, **more)
        three.server, three.hub = server, network.hub
        made.callback(three.end)
        yield three


WRITTEN = "SELECT term, revision FROM rampway_journal WHERE route = 'flights' ORDER BY id"


def written_by_one(server):
    """Terms never fall, and each revision is of one term: nobody wrote beside who led."""
    rows = [tuple(map(int, row.split("|"))) for row in server.sql(WRITTEN).splitlines()]
    assert rows
    assert rows == sorted(rows), rows
    terms = {}
    assert all(terms.setdefault(revision, term) == term for term, revision in rows), rows


@contextlib.asynccontextmanager
async def under_load(three):
    """They serve clients, of whom none loses a request; and nobody writes beside who leads."""
    await in_thread(three.start)
    async with three.loaded() as loads:
        yield loads
    assert lost(loads) == []
    written_by_one(three.server)


LEADS = "SELECT holder FROM rampway_lease WHERE name = 'leader' AND expires > clock_timestamp()"
PHASE = "SELECT record::json -> 'rollout' ->> 'phase' FROM rampway_routes WHERE route = 'flights'"


def led_by(three):
    """Who leads by the database's word; None: nobody."""
    pid = three.server.sql(LEADS).split("/")[1:2]
    return next((m for m in three.members if [str(m.life.process.pid)] == pid), None)


def written_phase(three):
    """Where the rollout is by the database's word."""
    return three.server.sql(PHASE)
