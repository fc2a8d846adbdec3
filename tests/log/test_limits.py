"""A full disk, and a log at its own bound: requests notice nothing of either."""

import resource
import sqlite3
from contextlib import closing

import pytest

from tests.log.conftest import POLICY, SECRET, client, service
from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.log, pytest.mark.xdist_group("limits"), pytest.mark.timeout(120)]

MEBIBYTE = 1 << 20
PADDING = "x" * 20_000


def newest(router):
    with closing(sqlite3.connect(router.folder / "log.db")) as db:
        return db.execute("SELECT request_id FROM predictions ORDER BY id DESC").fetchone()[0]


@pytest.fixture
def router(tmp_path, request):
    model = service(lambda one: {"late": one["distance"] > 500, "p": 0.5})
    url = f"http://127.0.0.1:{model.server_address[1]}"
    text = POLICY.format(folder=tmp_path, v1=url, v2=url, secret=SECRET)
    policy = tmp_path / "policy.yaml"
    policy.write_text(text.replace("size: 100MiB", f"size: {request.param}"))
    made = Router(tmp_path, policy).serving()
    yield made
    made.end()
    model.shutdown()


def log(router):
    return router.api("/api/v1/log")[1]


def ask_for(router, requests):
    with client(router) as ask:
        for n in range(requests):
            row = {"distance": 100, "pad": PADDING}
            assert ask(f"id-{n}", [row], X_User_Id=f"u{n}")[0] == 200


@pytest.mark.parametrize("router", ["1GiB"], indirect=True)
def test_a_full_disk_drops_and_counts(router):
    """For the reader alone no file may be larger than 2 MiB: as a full disk."""
    most = (2 * MEBIBYTE, 2 * MEBIBYTE)
    ask_for(router, 2)
    until(lambda: log(router)["written"] > 0, 20)
    pid = until(lambda: router.api("/healthz")[1]["reader"]["pid"], 10)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, most)
    told = log(router)
    while not told["error"]:  # it is no error any more when a smaller write goes well
        ask_for(router, 25)
        told = log(router)
    assert "disk" in told["error"] or "full" in told["error"] or "I/O" in told["error"], told
    until(lambda: log(router)["dropped"].get("disk"), 20)
    assert told["written"] > 0
    status, _ = router.api("/healthz")
    assert status == 200
    ask_for(router, 5)


@pytest.mark.parametrize("router", ["1MiB"], indirect=True)
def test_retention_by_size_holds_while_requests_come(router):
    ask_for(router, 200)  # 4 MB of bodies
    ask_for(router, 20)
    until(lambda: log(router)["written"] >= 200, 20)

    def bounded():
        """What the log holds is told now and then, and at first of a moment before."""
        told = log(router)
        held = told["held"]
        return 0 < held["predictions"] < told["written"] and held["bytes"] <= MEBIBYTE

    until(bounded, 20)
    until(lambda: newest(router) == "id-19", 10, "the newest are kept")
    until(lambda: (router.folder / "log.db").stat().st_size <= 1.3 * MEBIBYTE, 20)
