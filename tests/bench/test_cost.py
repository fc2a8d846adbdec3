"""A guard against decay: Python instructions of a request and of a rollback, counted, not timed.

Timings on shared machines differ by a tenth from run to run; the number of bytecode instructions of
one request through the whole data path, or of the decider's turn that takes a candidate back, does
not. It is compared with the number kept beside this
file; a change that costs more than 10 % fails here and either becomes cheaper or says why and
writes the new number (``python -m tests.bench.test_cost``).
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.rig import Rig, answer, long, short
from tests.control.conftest import World

KEPT = Path(__file__).with_name("cost.json")
ROOT = Path(__file__).parents[2]
REQUESTS = 400
TOLERATED = 1.10
DATES = 100
"""Seconds whose answers have been seen before anything is counted."""
A_SECOND = 200
STREAM_REQUEST = b"GET /v2/x HTTP/1.1\r\nHost: a\r\nX-User-Id: u\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
EVENT = b'2e\r\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\r\n'


async def instructions_per_request(make, *, repeated=False, differ=False, **policy):
    """Bytecode instructions of one request and its answer, on warm connections.

    ``make``: the request of a number; ``repeated``: always the same. ``differ``: answers have ids.
    Counted is what comes after the answers of `DATES` seconds: whatever a process uses up in its
    first minute is used up.
    """
    rig = Rig(**policy)
    warm = DATES * A_SECOND

    def exchange(number):
        one = answer(number, differ=differ, a_second=A_SECOND)
        rig.exchange(make(1 if repeated else number), one)

    for number in range(warm):
        exchange(number)
    counted = instructions(lambda: [exchange(n) for n in range(warm, warm + REQUESTS)])
    assert len(rig.answered) == warm + REQUESTS
    await asyncio.sleep(0)
    return counted / REQUESTS


async def instructions_per_event():
    """The same of one event of a stream, which is a chunk and arrives by itself."""
    rig = Rig()
    rig.client.data_received(STREAM_REQUEST)
    connection = rig.pending.pop()
    connection.data_received(STREAM_HEAD)
    for _ in range(REQUESTS):
        connection.data_received(EVENT)
    counted = instructions(lambda: [connection.data_received(EVENT) for _ in range(REQUESTS)])
    assert len(rig.answered) == 1 + 2 * REQUESTS
    return counted / REQUESTS


async def instructions_per_rollback():
    """The same of the decider's turn from the last bad answer on, until the disk is asked."""
    world = await World().start()
    await world.run(20)
    world.store.held = True
    while world.weight:
        world.traffic(40, 1.0, 0.0)
        counted = instructions(world.reconciler.turn)
    return counted


def instructions(run):
    """Bytecode instructions of the router's own code while ``run`` runs."""
    counted = 0

    def trace(frame, event, _argument):
        nonlocal counted
        if "/tests/" in frame.f_code.co_filename or frame.f_code.co_filename.endswith("random.py"):
            return None
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(old)
    return counted


NO_ROLLOUT = {"candidate": False, "sticky": False}
CASES = {
    "no rollout": {"make": short, **NO_ROLLOUT},
    "full policy": {"make": short},
    "full policy, repeated head": {"make": short, "repeated": True},
    "the same with a quota": {"make": short, "repeated": True, "quota": True},
    "full policy, a trace": {"make": long},
    "full policy, a trace, answers differ": {"make": long, "differ": True},
    "the same with receipts": {"make": long, "differ": True, "receipts": True},
    "an event of a stream": instructions_per_event,
    "a rollback": instructions_per_rollback,
}


async def cost(case):
    """Instructions of one of the cases."""
    asked = CASES[case]
    return await (asked() if callable(asked) else instructions_per_request(**asked))


def counted(case):
    """In a process of its own: what others have taught the caches would show."""
    code = f"""
import asyncio
from tests.bench.test_cost import cost
print(asyncio.run(cost({case!r})))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(ran.stdout)


@pytest.mark.cost
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="instructions are counted on Python 3.11"
)
@pytest.mark.parametrize("case", CASES)
def test_it_costs_no_more_instructions_than_it_did(case):
    kept, now = json.loads(KEPT.read_text())[case], counted(case)
    print(f"{case}: {now:.0f} instructions, kept {kept}")
    assert now <= kept * TOLERATED


if __name__ == "__main__":
    measured = {case: round(counted(case)) for case in CASES}
    KEPT.write_text(json.dumps(measured, indent=1) + "\n")
    print(measured)
