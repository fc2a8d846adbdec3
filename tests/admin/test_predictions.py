"""What people asked is read by those who have the role `data`, and by nobody else."""

import pytest

from router.core.logged.truth import Truth
from router.reader.keeper import open_book
from tests.admin.conftest import bearer
from tests.reader.book_contract import row


@pytest.fixture
def logged(tmp_path):
    """Three requests of the fake's route, of which one has a truth, and one elsewhere."""
    place = str(tmp_path / "log.db")
    book = open_book(place)
    book.write([
        row(f"id-{n}", route="churn", time=float(n), request=b"asked", answer=b"\xffsaid")
        for n in range(3)
    ] + [row("other", route="elsewhere")], 0.0)  # fmt: skip
    book.receive([Truth("id-1", label=1.0)], 5.0)
    book.close()
    return place


async def rows(site, query="", **headers):
    answer = await site.get(f"/api/v1/predictions?route=churn{query}", **headers)
    assert answer.status == 200, await answer.text()
    return (await answer.json())["rows"]


async def test_the_newest_rows_with_their_truths(site, logged):
    site.controller.log_file = logged
    found = await rows(site)
    assert [one["request_id"] for one in found] == ["id-2", "id-1", "id-0"]
    assert [one["label"] for one in found] == [None, 1.0, None]
    assert found[0]["features"] == {"delay": 3}
    assert not {"request", "answer", "person", "receipt"} & set(found[0])
    assert [one["request_id"] for one in await rows(site, "&limit=1&since=1")] == ["id-2"]
    (one,) = await rows(site, "&request_id=id-0&bodies=1")
    assert one["request"] == "asked"


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("operator", 403), ("data", 200), ("admin", 200)]
)
async def test_payloads_need_the_role_data(guarded, logged, role, status):
    guarded.controller.log_file = logged
    answer = await guarded.get("/api/v1/predictions?route=churn", **bearer(role))
    assert answer.status == status
    assert (await guarded.get("/api/v1/log", **bearer(role))).status == 200


async def test_what_cannot_be_read_says_why(site, tmp_path):
    assert (await site.get("/api/v1/predictions?route=churn")).status == 404
    site.controller.log_file = str(tmp_path / "none.db")
    assert (await site.get("/api/v1/predictions?route=churn")).status == 503
    assert (await site.get("/api/v1/predictions")).status == 422


async def test_how_well_versions_did_has_no_payload_and_is_for_everybody(guarded, logged):
    guarded.controller.log_file = logged
    answer = await guarded.get("/api/v1/routes/churn/performance?span=60", **bearer("viewer"))
    told = await answer.json()
    assert (told["read"], told["versions"]["v1"]["labelled"]) == (3, 1)
    assert "asked" not in await answer.text()
    guarded.controller.log_file = ""
    answer = await guarded.get("/api/v1/routes/churn/performance", **bearer("viewer"))
    assert (answer.status, (await answer.json())["code"]) == (404, "not_logged")


@pytest.mark.parametrize(
    ("role", "named"), [("viewer", False), ("operator", False), ("data", True)]
)
async def test_categories_have_names_for_the_role_data(guarded, monkeypatch, role, named):
    asked = []
    monkeypatch.setattr(
        type(guarded.controller.data), "quality",
        lambda _self, *about, named: asked.append((*about, named)) or {},
    )  # fmt: skip
    answer = await guarded.get("/api/v1/routes/churn/data?signal=x&segment=de", **bearer(role))
    assert answer.status == 200
    assert asked == [("churn", "x", "de", named)]
