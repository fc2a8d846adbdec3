"""Labels become evidence exactly once, whoever is killed between: the reader, or the router."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.log.conftest import POLICY, SECRET, client, service
from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.log, pytest.mark.xdist_group("kills"), pytest.mark.timeout(180)]

ROUNDS = 6
EACH = 20


def gate(router):
    return next(g for g in router.status()["gates"] if g["name"] == "accuracy")


def logged(router, predictions):
    return router.api("/api/v1/log")[1]["held"].get("predictions", 0) >= predictions


def gone(pid):
    return not Path(f"/proc/{pid}/exe").exists()


def reading(router):
    """A reader that lives: what comes while there is none is not logged, and counted."""
    pid = router.api("/healthz")[1]["reader"]["pid"]
    return pid and not gone(pid)


def counted(router, labels):
    return gate(router)["candidate"]["total"] >= labels


def tell(router, labels):
    """Until it was answered: what is sent again counts once."""
    for _ in range(50):
        try:
            status, said = router.api("/api/v1/feedback", "POST", {"labels": labels})
        except OSError:
            status = 0
        if status == 200:
            return said
        time.sleep(0.2)
    raise AssertionError(said)


def test_each_label_is_evidence_once(tmp_path):
    same = service(lambda one: {"late": one["distance"] > 500, "p": one["distance"] / 1000})
    url = f"http://127.0.0.1:{same.server_address[1]}"
    policy = tmp_path / "policy.yaml"
    text = POLICY.format(folder=tmp_path, v1=url, v2=url, secret=SECRET)
    text = text.replace("    sticky: {header: X-User-Id}\n", "").replace("weight: 20%, ", "")
    policy.write_text(text.replace("canary: {steps: [{mirror: 100%, hold: 1h}], bake: 1h}",
                                   "shadow: {mirror: 100%, hold: 1h}"))  # fmt: skip
    router = Router(tmp_path, policy).serving()
    rng, told = random.Random(18), 0
    try:
        router.position()
        for number in range(ROUNDS):
            ids = [f"id-{number}-{n}" for n in range(EACH)]
            until(partial(reading, router), 15)
            with client(router) as ask:
                for request_id in ids:
                    assert ask(request_id, [{"distance": 900}])[0] == 200
            until(partial(logged, router, 2 * EACH * (number + 1)), 10)
            for part in (ids[: EACH // 2], ids[EACH // 2 :]):
                tell(router, [{"request_id": one, "label": True} for one in part])
                told += len(part)
                time.sleep(rng.choice((0.0, 0.02, 0.2, 0.6)))
                if number % 2:
                    router.kill()
                    router = Router(tmp_path, policy).serving()
                elif pid := router.api("/healthz")[1]["reader"]["pid"]:
                    os.kill(pid, signal.SIGKILL)
                    until(partial(gone, pid), 10)  # else it is taken for the next one
                until(partial(counted, router, told), 15, gate(router))
            assert gate(router)["candidate"]["total"] == told
        with client(router) as ask:  # one more comes after all that could be told twice
            assert ask("last", [{"distance": 900}])[0] == 200
        until(partial(logged, router, 2 * ROUNDS * EACH + 2), 10)
        tell(router, [{"request_id": "last", "label": True}])
        until(partial(counted, router, told + 1), 15, gate(router))
        assert gate(router)["candidate"]["total"] == told + 1 == ROUNDS * EACH + 1
    finally:
        router.end()
        same.shutdown()


def test_of_a_killed_router_at_most_the_last_second_is_missing(tmp_path):
    """Control is killed; its workers and its reader find out by themselves."""
    same = service(lambda one: {"late": one["distance"] > 500, "p": one["distance"] / 1000})
    url = f"http://127.0.0.1:{same.server_address[1]}"
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(folder=tmp_path, v1=url, v2=url, secret=SECRET))
    router, sent = Router(tmp_path, policy).serving(), {}
    try:
        router.position()
        until(partial(reading, router), 15)
        with client(router) as ask:
            for n in range(80):
                assert ask(f"id-{n}", [{"distance": 100}], X_User_Id=f"u{n}")[0] == 200
                sent[f"id-{n}"] = time.time()
                time.sleep(0.04)
        pid = router.api("/healthz")[1]["reader"]["pid"]
        router.kill()
        killed = time.time()
        until(partial(gone, pid), 10, "the reader's own end, after what it had heard is written")
        with closing(sqlite3.connect(tmp_path / "log.db")) as db:
            logged = {name for (name,) in db.execute("SELECT DISTINCT request_id FROM log")}
        old = {name for name, at in sent.items() if at < killed - 1.0}
        assert len(old) > 20
        assert old <= logged
    finally:
        router.end()
        same.shutdown()
