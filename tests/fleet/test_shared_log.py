"""The prediction log of several routers: what any of them served is there, whoever leads."""

from __future__ import annotations

import pytest

from tests.fleet.test_shared_reviews import Desk, Desks, killed
from tests.log.conftest import service
from tests.people.conftest import doubting
from tests.reliability.whole import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")
pytest.importorskip("psycopg", reason="wants psycopg: pip install 'rampway[postgres]'")


class Logging(Desk):
    """With the log in the database of the store."""

    def write(self):
        super().write()
        text = self.file.read_text()
        self.file.write_text(text.replace(f"{self.folder}/log.db", self.url))


class Logged(Desks):
    makes = Logging


@pytest.fixture
def three(tmp_path, url):
    model = service(doubting)
    made = Logged(tmp_path, [model], url, review="{below: 0%}")
    yield made.start()
    made.end()
    model.shutdown()


def told(one, *names):
    """Labels for these, as often as it takes until the log takes them; what became of them."""
    labels = [{"request_id": name, "label": True} for name in names]

    def taken():
        status, said = one.api("root", "/api/v1/feedback", {"labels": labels})
        return said if status == 200 else None

    return until(taken, 60, "an answer of the log")


def test_a_late_truth_finds_its_prediction_at_any_router_after_the_leader_was_killed(three):
    def held():
        return three.offices[0].api("root", "/api/v1/log")[1]["held"].get("predictions", 0)

    def served(number, *names):
        for one, name in zip(three.offices, names, strict=True):
            assert one.ask(name, 990)[0] == 200
        until(lambda: held() == number, 60, "what each router has served")

    served(3, "a", "b", "c")
    follower = three.offices[0]
    said = told(follower, "a", "b")
    assert (said["joined"], said["waiting"]) == (2, 0)
    killed(three)
    for one, name in zip(three.offices, ("c", "a", "b"), strict=True):
        said = told(one, name)
        assert said["waiting"] == 0
        assert said["duplicates"] == (name != "c"), "each counts once"

    def logs_again():
        return three.offices[0].api("root", "/api/v1/log")[1]["error"] == ""

    until(logs_again, 60)
    served(6, "d", "e", "f")
    said = told(three.offices[1], "d", "e", "f")
    assert (said["joined"], said["waiting"]) == (3, 0)
