"""What two versions answer differently is asked of people, who see neither answer."""

import pytest

from tests.log.conftest import service
from tests.reliability.whole import until

pytestmark = [pytest.mark.people, pytest.mark.xdist_group("people")]

ROLLOUT = """\
    rollout:
      candidate: second
      strategy: {shadow: {mirror: 100%, hold: 1h}}
      gates: [agreement: {at_least: 10%}]
"""


def status_of(one):
    return one.api("root", "/api/v1/rollouts/flights")[1]


def compared(status):
    """Pairs, and those that are evidence."""
    gate = next(g for g in status["gates"] if g["gate"] == "agreement")
    return (status["shadow"] or {}).get("pairs"), gate["candidate"]["total"]


def rated(versions):
    """What people have decided of the model, and otherwise than it."""
    said = versions.get("model", {}).get("disagreement", {})
    return said.get("decided"), said.get("overruled")


@pytest.fixture
def second():
    model = service(lambda row: {"late": row["distance"] > 700, "p": 0.99})
    yield f"http://127.0.0.1:{model.server_address[1]}"
    model.shutdown()


@pytest.mark.parametrize("disagreement", ["100%", "0%"])
def test_what_two_versions_answer_differently_is_asked_of_people(office, second, disagreement):
    one = office(f"{{disagreement: {disagreement}}}", rollout=ROLLOUT,
                 versions=f'second: {{endpoints: ["{second}"]}}')  # fmt: skip
    until(lambda: status_of(one)["mirror_bp"] == 10_000, 30)
    one.router.in_force()
    for number, distance in enumerate((990, 600, 10, 650)):
        code, body, headers = one.ask(f"r{number}", distance)
        assert (code, headers["X-Rampway-Review"]) == (200, None), "it goes out at once"
        assert body["predictions"][0]["late"] is (distance > 500)
    until(lambda: compared(status_of(one)) == (4, 4), 20)
    if disagreement == "0%":
        assert one.standing()["open"] == 0
        return
    until(lambda: one.standing()["open"] == 2, 15)
    items = {item["request_id"]: item for item in one.claim("ann", 10)}
    assert set(items) == {"r1", "r3"}
    for item in items.values():
        assert (item["reason"], item["said"], item["version"]) == ("disagreement", None, "")
        distance = item["request"]["instances"][0]["distance"]
        assert one.answer("ann", item, distance > 620)[0] == 200
    until(lambda: rated(one.standing()["versions"]) == (2, 1), 10)
    until(lambda: one.api("root", "/api/v1/log")[1]["held"].get("truths") == 2, 15)
    assert compared(status_of(one)) == (4, 4), "what people said of these is no evidence"
    code, said = one.run("review")
    assert code == 0, said
    assert "disagreement" in said
