"""The log from outside: real processes and bytes, somebody else's readers, what is forgotten."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from tests.log.conftest import client
from tests.reliability.whole import until

pytestmark = [pytest.mark.log, pytest.mark.xdist_group("log")]

SECRET_PERSON = "Erika-Mustermann-1964"


def rampway(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "router", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def select(router, sql, *values):
    with closing(sqlite3.connect(f"file:{router.folder}/log.db?mode=ro", uri=True)) as db:
        return db.execute(sql, values).fetchall()


def tell(router, *labels):
    body = {"labels": list(labels)} if len(labels) > 1 else labels[0]
    status, said = router.api("/api/v1/feedback", "POST", body)
    assert status == 200, said
    return said


@pytest.fixture(scope="module")
def asked(router):
    """Requests with their truths: half of these told before their prediction is there."""
    router.position()
    early = [{"request_id": f"early-{n}", "label": n % 2 == 0} for n in range(40)]
    said = tell(router, *early, {"request_id": "nobody", "label": True})
    assert (said["accepted"], said["waiting"], said["joined"]) == (41, 41, 0)
    receipts = []
    with client(router) as ask:
        for n in range(40):
            row = {"distance": 900 if n % 2 == 0 else 100, "carrier": "UA", "email": "a@b.example"}
            for kind in ("early", "late"):
                status, headers = ask(
                    f"{kind}-{n}", [row], X_User_Id=f"{kind}{n}", X_Country="DE" if n % 4 else "FR"
                )
                assert status == 200
                receipts.append((kind, n, headers["X-Rampway-Receipt"]))
        ask("batch", [{"distance": 900}, {"distance": 100}, {"distance": 800}], X_User_Id="b")
        ask("broken", [{"distance": 900, "break": True}], X_User_Id="c")
        for n in range(12):
            ask(f"{SECRET_PERSON}-{n}", [{"distance": 900, "carrier": SECRET_PERSON}],
                X_User_Id=SECRET_PERSON)  # fmt: skip
    served = "SELECT count(*) FROM log WHERE role <> 'shadow'"
    until(lambda: select(router, served)[0][0] >= 96, 10, router.api("/api/v1/log")[1])
    copied = "SELECT count(*) FROM log WHERE role = 'shadow' AND version = 'v2'"
    until(lambda: select(router, copied)[0][0] > 40, 10, router.api("/api/v1/log")[1])
    return receipts


def test_everything_is_in_the_table(router, asked):
    served = select(router, "SELECT count(*) FROM log WHERE role <> 'shadow'")[0][0]
    assert served >= 96  # 80 + 3 rows + 1 broken + 12
    (row,) = select(
        router, "SELECT request_id, route, rows, status, error, prediction, segment, features "
        "FROM log WHERE request_id = 'late-1' AND role <> 'shadow'",
    )  # fmt: skip
    assert row[:5] == ("late-1", "flights", 1, 200, "")
    assert row[6] == "DE"
    assert row[7] == '{"distance":100,"carrier":"UA"}'
    assert [r for (r,) in select(
        router, "SELECT row FROM log WHERE request_id = 'batch' AND role <> 'shadow' ORDER BY row"
    )] == [0, 1, 2]  # fmt: skip
    broken = select(router, "SELECT status, error FROM log WHERE request_id = 'broken'")
    assert (500, "server_error") in broken


def test_redacted_fields_are_nowhere(router, asked):
    for name in ("log.db", "log.db-wal", "r.db", "r.db-wal"):
        file = router.folder / name
        if file.exists():
            assert b"a@b.example" not in file.read_bytes(), name
    bodies = select(router, "SELECT request FROM predictions WHERE request IS NOT NULL LIMIT 5")
    assert bodies
    assert all(b'"distance"' in body for (body,) in bodies)


def test_truth_by_id_by_receipt_in_any_order_once(router, asked):
    early = (
        "SELECT count(*) FROM log WHERE request_id LIKE 'early-%' AND role <> 'shadow' "
        "AND label IS NOT NULL"
    )
    until(lambda: select(router, early)[0][0] == 40, 10)
    late = [{"receipt": text, "label": n % 2 == 0} for kind, n, text in asked if kind == "late"]
    said = tell(router, *late)
    assert (said["joined"], said["waiting"], said["refused"]) == (40, 0, [])
    again = tell(router, *late, *({"request_id": f"late-{n}", "label": False} for n in range(40)))
    assert (again["accepted"], again["duplicates"]) == (0, 80)
    more = tell(router, {"request_id": "late-3", "accepted": False, "source": "human"})
    assert (more["joined"], more["duplicates"]) == (1, 0)
    rows = tell(router, *({"request_id": "batch", "row": n, "label": n != 1} for n in range(3)))
    assert rows["joined"] == 3
    lag = router.api("/api/v1/log")[1]
    assert lag["unknown"] == 0


def test_the_gates_see_it(router, asked):
    """v2 always says no: pairs find it wrong where v1 was right."""
    until(lambda: _gate(router, "accuracy")["evidence"] > 100, 10)
    assert "stable alone in 0 of" in _gate(router, "accuracy")["sentence"]
    until(lambda: "AUC" in _gate(router, "auc")["sentence"], 10)
    told = until(
        lambda: (of := router.status()["feedback"].get("v1")) and of["right"] > 30 and of, 10
    )
    assert told["wrong"] == 0


def _gate(router, name):
    return next(gate for gate in router.status()["gates"] if gate["name"] == name)


def test_other_programs_read_it(router, asked, tmp_path):
    pandas = pytest.importorskip("pandas")
    with closing(sqlite3.connect(f"file:{router.folder}/log.db?mode=ro", uri=True)) as db:
        frame = pandas.read_sql("SELECT * FROM log WHERE role <> 'shadow'", db)
    assert {"prediction", "label", "score", "features"} <= set(frame.columns)
    assert (frame.groupby("version").size() > 0).all()
    table = tmp_path / "log.csv"
    assert "predictions written" in rampway("log", "export", router.folder / "log.db", table)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"feature.distance", "feature.carrier"} <= set(rows[0])
    assert "feature.email" not in rows[0]
    assert "request" not in rows[0]
    assert len(rows) == select(router, "SELECT count(*) FROM predictions")[0][0]
    pytest.importorskip("pyarrow")
    parquet = tmp_path / "log.parquet"
    rampway("log", "export", router.folder / "log.db", parquet, "--route", "flights")
    assert len(pandas.read_parquet(parquet)) == len(rows)


def test_a_killed_reader_loses_at_most_the_last_second(router, asked):
    pid = router.api("/healthz")[1]["reader"]["pid"]
    sent = []
    with client(router) as ask:
        for n in range(60):
            if n == 45:
                os.kill(pid, signal.SIGKILL)
            ask(f"kill-{n}", [{"distance": 100}], X_User_Id=f"k{n}")
            sent.append((f"kill-{n}", time.time() if n < 45 else 0.0))
            time.sleep(0.05)
        killed = sent[44][1]
        until(lambda: router.api("/healthz")[1]["reader"]["pid"] not in (0, pid), 10)

        def logs_again():
            """What comes before it reads is not logged, and counted."""
            ask("after", [{"distance": 100}], X_User_Id="after")
            return select(router, "SELECT 1 FROM log WHERE request_id = 'after'")

        until(logs_again, 10)
    logged = {
        i for (i,) in select(router, "SELECT request_id FROM log WHERE request_id LIKE 'kill-%'")
    }
    old = {request_id for request_id, at in sent if 0 < at < killed - 1.0}
    assert len(old) > 10
    assert old <= logged


def test_a_forgotten_person_is_nowhere(router, asked, tmp_path):
    """In the file, its WAL, the store, an export, a report: searched for as bytes.

    Nor is what was told of that person: labels, and what people answered (POST /api/v1/truth), also
    about rows that nobody predicted.
    """
    log = router.folder / "log.db"
    told = [{"request_id": f"{SECRET_PERSON}-{n}", "row": n % 2, "answer": SECRET_PERSON}
            for n in range(12)]  # fmt: skip
    status, said = router.api("/api/v1/truth", "POST", {"answers": told})
    assert (status, said["joined"], said["waiting"]) == (200, 6, 6)
    tell(router, {"request_id": f"{SECRET_PERSON}-0", "label": SECRET_PERSON})
    assert SECRET_PERSON.encode() in log.read_bytes() + log.with_name("log.db-wal").read_bytes()
    until(lambda: select(router, "SELECT count(*) FROM posted")[0][0] >= 6, 10)
    said = rampway("log", "forget", log, "--key", SECRET_PERSON)
    assert int(said.split()[0]) >= 12
    with client(router) as ask:  # the router goes on writing
        ask("goes-on", [{"distance": 100}], X_User_Id="g")
    until(lambda: select(router, "SELECT 1 FROM log WHERE request_id = 'goes-on'"), 10)
    table, out = tmp_path / "log.csv", tmp_path / "report"
    rampway("log", "export", log, table, "--bodies")
    rampway("report", "flights", "--log", log, "--out", out, "--admin", router.admin)
    store = router.folder / "r.db"
    for file in (log, log.with_name("log.db-wal"), store, store.with_name("r.db-wal"), table,
                 out.with_suffix(".html"), out.with_suffix(".json")):  # fmt: skip
        if file.exists():
            assert SECRET_PERSON.encode() not in file.read_bytes(), file.name


def test_the_report_has_both_parts_and_nobody_in_it(router, asked, tmp_path):
    out = tmp_path / "report"
    rampway(
        "report", "flights", "--log", router.folder / "log.db", "--out", out,
        "--admin", router.admin,
    )  # fmt: skip
    page, told = (
        out.with_suffix(".html").read_text(),
        json.loads(out.with_suffix(".json").read_text()),
    )
    for part in ("Data quality", "Model performance", "Software", "Inputs", "Outputs", "Model",
                 "Business", "Trust", "By segment", "Over time", "Decisions"):  # fmt: skip
        assert f">{part}</h" in page, part
    assert page.count("<svg") == 7 + 2  # two segments
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert SECRET_PERSON not in page + json.dumps(told)
    assert set(told["data_quality"]["inputs"]) == {"distance", "carrier"}
    versions = told["model_performance"]["versions"]
    assert versions["v1"]["model"]["accuracy"] == versions["v1"]["model"]["kappa"] == 1.0
    assert versions["v2 (copies)"]["model"]["accuracy"] < 0.8
    assert {"DE", "FR"} <= {one["segment"] for one in told["model_performance"]["segments"]}
    assert any(one["action"] == "begin" for one in told["timeline"])
    said = router.api("/api/v1/routes/flights/performance?span=3600")[1]
    for name, one in said["versions"].items():
        model = versions[name]["model"]
        assert one["metrics"]["accuracy"]["value"] == pytest.approx(model["accuracy"], rel=1e-4)
        assert one["metrics"]["auc"]["value"] == pytest.approx(model["auc"], rel=1e-4)
        assert one["labelled"] == model["labelled"], name
    assert SECRET_PERSON not in json.dumps(said)


def test_status_is_told(router, asked):
    said = rampway("log", "status", "--admin", router.admin)
    assert "log.db:" in said
    assert "flights: truths come after" in said
