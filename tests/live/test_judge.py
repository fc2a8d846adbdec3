"""`rampway judge` on logs of real nginx, real Envoy and the real router: the router's own verdict.

The same requests pass nginx (or Envoy), which logs what it saw, and the router, which splits and
judges. Whoever reads the log must come to the router's verdict, sentence and exit code. One client
asks, one request at a time, so that both see each answer at the same place of the row. Where
nothing is held against the candidate every number is the same. The router weighs slices of a tenth
of a second, the log has single requests, so the failure that convicts may be one or two apart.
"""

import asyncio
import json
import re
import time

import pytest

from tests.cli.conftest import rampway
from tests.live.kit import Clients, Lab, route
from tests.live.peers import envoy, nginx

pytestmark = pytest.mark.live

LOGGED = "access_log: true\n"
STEP = "{canary: {steps: [{weight: 30%, hold: 1h}], bake: 1h}}"
STEADY = {"gates": "[error_rate]", "more": "hold_level: 99"}
"""The share stays as it is: no brake, no trial."""
ENDS = {"rolled_back": 3, "progressing": 0}
PENDING = 4
APART = 2
"""Failures of the candidate between the moments at which router and log have enough."""


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path) as made:
        yield made


def judged(lab, log, *more):
    """(exit code, the verdict as JSON), once nobody writes to the log any more."""
    sizes = []
    while len(sizes) < 4 or len(set(sizes[-4:])) > 1:
        time.sleep(0.2)
        sizes.append(log.stat().st_size)
    said = rampway("judge", "--policy", str(lab.file), "--log", str(log), "-o", "json", *more)
    return said.code, said.json


def one_more_failure(log, number):
    """The candidate's newest failure once more, of another user where users are drawn."""
    bad = [x for x in log.read_text().splitlines() if '"v2"' in x and re.search(r':\s*"?500\b', x)]
    newest = json.loads(bad[-1])
    if newest.get("user"):
        newest["user"] = f"{int(newest['user'], 16) ^ (number + 1):016x}"
    with log.open("a") as file:
        file.write(json.dumps(newest) + "\n")


def judged_as(status, lab, log, *more):
    """The same; once the router has decided no failure comes, the log may need one or two."""
    code, found = judged(lab, log, *more)
    for number in range(APART):
        if status["phase"] == "rolled_back" and code == PENDING:
            one_more_failure(log, number)
            code, found = judged(lab, log, *more)
    return code, found


async def split_by_the_router(lab, *, bad, port=None, enough=900, sticky=""):
    """Traffic until the candidate is taken back or has ``enough``; the router's last word.

    Where failures decide they come slowly: what comes while they are told and judged is beyond
    those that convicted, and a machine where control waits for its turn would have more of it.
    """
    lab.versions["v2"].bad = bad
    per_s = 100 if bad else 2_000
    await lab.until(lambda s: s["weight_bp"] > 0)  # it is ready: from here on a coin decides
    async with Clients(port or lab.port, at_once=1, per_s=per_s, users=100_000) as clients:
        await lab.until(
            lambda s: s["phase"] == "rolled_back" or clients.of("v2") >= enough, seconds=120
        )
    return await still(lab.status)


async def still(look):
    """What ``look`` answers once that has not changed for ten looks: all counts have arrived."""
    seen = []
    while len(seen) < 10 or counts(seen[-10:]):
        await asyncio.sleep(0.1)
        seen.append(await look())
    return seen[-1]


def counts(seen):
    """Whether what was seen differs in what is counted."""
    return len({json.dumps([s["gates"], s["reason"], s["waits_for"]]) for s in seen}) > 1


def shape(sentence):
    """The sentence with its numbers left out, and how many clients there were: no log says it."""
    sentence = re.sub(r"; all evidence is from [0-9]+ clients?", "", sentence)
    return re.sub(r"[0-9][0-9,.]*", "N", sentence)


def failed(sentence):
    """Failures of the candidate at the moment that convicted."""
    return int(re.search(r"candidate ([0-9]+) of", sentence)[1])


def same_verdict(status, code, found):
    if status["waits_for"].startswith("not enough yet"):
        assert (code, found["verdict"], found["sentence"]) == (
            PENDING,
            "pending",
            status["waits_for"],
        )
        return
    assert code == ENDS[status["phase"]], (status["reason"], found)
    if code == 3:
        assert found["verdict"] == "fail"
        assert shape(found["sentence"]) == shape(status["reason"])
        assert abs(failed(found["sentence"]) - failed(status["reason"])) <= APART
        return
    assert found["verdict"] == "pass"
    mine = {gate["gate"]: gate for gate in status["gates"]}
    for gate in found["gates"]:
        same = str if gate["gate"] != "promotion" else shape  # the best prefix, of slices there
        assert same(gate["sentence"]) == same(mine[gate["gate"]]["sentence"])


@pytest.mark.parametrize("bad", [0.0, 1.0])
@pytest.mark.parametrize("sticky", ["", "sticky: {header: X-User-Id}"])
async def test_the_routers_own_log_gives_its_verdict(lab, bad, sticky):
    lab.write(route(STEP, head=sticky, **STEADY), LOGGED)
    life = await lab.start()
    status = await split_by_the_router(lab, bad=bad)
    same_verdict(status, *judged_as(status, lab, life.log_file))


@pytest.mark.parametrize("sticky", ["", "sticky: {header: X-User-Id}"])
async def test_so_it_does_where_brake_and_trial_change_the_share(lab, sticky):
    """The router looks at slices of a tenth of a second, the log has single requests.

    So the counts at which the evidence suffices may be one or two apart; what is decided is not.
    Which of both gates has enough first, or whether the trial has had an answer then, is chance.
    """
    lab.write(route(STEP, head=sticky), LOGGED)
    life = await lab.start()
    status = await split_by_the_router(lab, bad=0.5)
    code, found = judged_as(status, lab, life.log_file)
    assert (status["phase"], code, found["verdict"]) == ("rolled_back", 3, "fail")
    for sentence in (found["sentence"], status["reason"]):
        assert re.match("(guard|error_rate): failed: candidate [0-9]+ of [0-9]+", sentence)


@pytest.mark.parametrize("bad", [0.0, 1.0])
@pytest.mark.parametrize("peer", [nginx, envoy])
async def test_the_log_of_who_stands_before_the_router_gives_its_verdict(lab, bad, peer):
    lab.write(route(STEP, **STEADY))
    await lab.start()
    async with peer(lab.folder, to=lab.port) as (port, log):
        status = await split_by_the_router(lab, bad=bad, port=port)
    same_verdict(status, *judged_as(status, lab, log, "--weight", "30%", "--since", "0"))


@pytest.mark.parametrize(("bad", "code", "verdict"), [(0.0, 0, "pass"), (0.3, 3, "fail")])
@pytest.mark.parametrize("peer", [nginx, envoy])
async def test_a_split_without_any_router_has_proof_in_minutes(lab, bad, code, verdict, peer):
    """Whoever has split_clients or weighted clusters: no router runs here at all."""
    lab.write(route(STEP))
    lab.versions["v2"].bad = bad
    ports = {name: lab.versions[name].port for name in ("v1", "v2")}
    async with peer(lab.folder, split=ports) as (port, log), Clients(port, per_s=2_000) as clients:
        async with asyncio.timeout(100):
            while sum(clients.answers.values()) < 2_000:
                await asyncio.sleep(0.05)
    found = judged(lab, log, "--weight", "30%")
    assert (found[0], found[1]["verdict"], found[1]["skipped"]) == (code, verdict, 0)
    assert found[1]["value"] == (1 if code == 0 else -1)
    assert json.dumps(found[1]["requests"])
