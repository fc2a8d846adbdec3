"""A worker that has heard of a later leader takes nothing more of an earlier one."""

from __future__ import annotations

from router.core.wire.table import RoutingTable
from router.link.messages import Amend, Applied, Publish
from tests.proxy.process import Process
from tests.proxy.rig import LIMITS, rollout, until
from tests.proxy.scripted import OK, Scripted, answers


async def asked(worker, count=12):
    found = [await worker.ask(method="GET") for _ in range(count)]
    return {one.headers[b"x-rampway-version"].decode() for one in found}


async def told(worker, number):
    """The last of that many acknowledgements: what is in force."""
    await until(lambda: len(acknowledged(worker)) >= number, 20)
    return (acknowledged(worker)[-1].term, acknowledged(worker)[-1].generation)


def acknowledged(worker):
    return [one for one in worker.messages if isinstance(one, Applied)]


async def test_a_live_worker_refuses_the_table_of_an_old_leader_and_says_what_it_has():
    """The candidate was taken back by who leads now; who led before woke up and wants it back."""
    async with Scripted(answers(OK)) as stable, Scripted(answers(OK)) as candidate:
        half, none = rollout(stable, candidate, 5_000), rollout(stable, candidate, 0)

        def table(term, generation, entry):
            return RoutingTable(generation, (entry,), limits=LIMITS, term=term)

        async with Process(half, term=1) as worker:
            assert await asked(worker, 24) == {"v1", "v2"}
            before = len(acknowledged(worker))

            worker.link.send(Publish(table(2, 1, none)))  # a leader counts from 1
            assert await told(worker, before + 1) == (2, 1)
            assert await asked(worker) == {"v1"}

            for number, late in enumerate((
                Publish(table(1, 99, half)), Amend(99, 1, (half,), term=1),
                Amend(2, 1, (half,), term=1),
            ), 2):  # fmt: skip
                worker.link.send(late)
                assert await told(worker, before + number) == (2, 1)
                assert await asked(worker) == {"v1"}

            worker.link.send(Amend(2, 1, (half,), term=2))
            assert await told(worker, before + 5) == (2, 2)
            assert await asked(worker, 24) == {"v1", "v2"}
