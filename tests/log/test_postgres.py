"""The same log interface on a real PostgreSQL server, which is started for these tests."""

import csv
import json
import uuid

import pytest

from router.reader.book import BookError
from router.reader.keeper import open_book
from tests.log.conftest import POLICY, SECRET, client, service
from tests.log.test_whole import rampway
from tests.postgres_server import server_or_skip
from tests.reader.book_contract import BookContract, row
from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.log, pytest.mark.xdist_group("postgres"), pytest.mark.timeout(120)]

psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def server():
    """The URL of a database that is there for these tests."""
    made = server_or_skip()
    yield made.url
    made.end()


@pytest.fixture
def schema(server):
    """One of its own for each test."""
    name = f"log_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"CREATE SCHEMA {name}")
    return f"{server}?options=-csearch_path%3D{name}"


class TestPostgres(BookContract):
    labels = 600

    @pytest.fixture
    def opened(self, schema):
        return lambda **about: open_book(schema, **about)

    def test_there_is_one_writer(self, book, opened):
        with pytest.raises(BookError, match="another router writes"):
            opened()

    def test_a_text_with_a_zero_in_it(self, book):
        book.write([row("a\0b", features='{"x":"\\u0000"}', prediction="a\0")], 0.0)
        assert book.counts().predictions == 1

    def test_a_server_that_goes_is_told_and_asked_again(self, book, server):
        with psycopg.connect(server, autocommit=True) as link:
            link.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'rampway'"
            )
        with pytest.raises(BookError):
            book.write([row("a")], 0.0)
        assert book.lost


def count(schema, where="true"):
    with psycopg.connect(schema) as link:
        return link.execute(f"SELECT count(*) FROM log WHERE {where}").fetchone()[0]


def test_a_router_keeps_its_log_there_and_every_verb_reads_it(schema, tmp_path):
    model = service(lambda one: {"late": one["distance"] > 500, "p": one["distance"] / 1000})
    url = f"http://127.0.0.1:{model.server_address[1]}"
    policy = tmp_path / "policy.yaml"
    text = POLICY.format(folder=tmp_path, v1=url, v2=url, secret=SECRET)
    policy.write_text(text.replace(f"{tmp_path}/log.db", schema))
    router = Router(tmp_path, policy).serving()
    try:
        router.position()
        early = {"labels": [{"request_id": f"id-{n}", "label": True} for n in range(10)]}
        until(lambda: router.api("/api/v1/feedback", "POST", early)[0] == 200, 15)
        with client(router) as ask:
            for n in range(20):
                row = {"distance": 900, "carrier": "UA", "email": "a@b.example"}
                assert ask(f"id-{n}", [row], X_User_Id=f"user-{n % 4}")[0] == 200
        late = {"labels": [{"request_id": f"id-{n}", "label": True} for n in range(10, 20)]}
        until(lambda: count(schema, "role <> 'shadow'") == 20, 15)
        until(lambda: count(schema, "role = 'shadow'") == count(schema, "role = 'stable'"), 15)
        held = count(schema)
        assert router.api("/api/v1/feedback", "POST", late)[1]["joined"] == 10
        until(lambda: router.status()["feedback"].get("v1", {}).get("right", 0) > 0, 15)
        assert rampway("log", "export", schema, tmp_path / "log.csv").startswith(f"{held} ")
        with (tmp_path / "log.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["feature.distance"] for row in rows if row["role"] != "shadow"} == {"900"}
        assert {row["prediction"] for row in rows} == {row["label"] for row in rows} == {"1"}
        out = tmp_path / "report"
        rampway("report", "flights", "--log", schema, "--out", out, "--admin", router.admin)
        told = json.loads(out.with_suffix(".json").read_text())
        assert told["model_performance"]["versions"]["v1"]["model"]["accuracy"] == 1.0
        said = router.api("/api/v1/routes/flights/performance?span=3600")[1]
        assert said["versions"]["v1"]["metrics"]["accuracy"]["value"] == 1.0
        assert said["read"] == held
        told = rampway("log", "forget", schema, "--key", "user-3")
        gone = int(told.split()[0])
        assert 5 <= gone <= 10
        assert count(schema) == held - gone
        assert count(schema, "label IS NOT NULL AND role <> 'shadow'") == 15
        assert count(schema, "prediction = label") == held - gone
        until(lambda: router.api("/api/v1/log")[1]["held"]["predictions"] == held - gone, 15)
    finally:
        router.end()
        model.shutdown()
