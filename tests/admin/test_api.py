"""Reading: answers, queries, the OpenAPI document against the real handlers, pages."""

from __future__ import annotations

import json
import re

import pytest

from router.admin.commands import COMMANDS
from router.admin.routes import ROUTES
from tests.admin.conftest import bearer
from tests.admin.described import wrong
from tests.admin.fake_controller import SENTENCE


async def test_summary_route_and_rollout(site):
    routes = (await (await site.get("/api/v1/routes")).json())["routes"]
    route = await (await site.get("/api/v1/routes/flight-delay")).json()
    rollout = await (await site.get("/api/v1/rollouts/flight-delay")).json()

    assert [summary["name"] for summary in routes] == ["flight-delay", "churn"]
    assert {"v1", "v2"} == set(route["versions"])
    assert rollout["gates"][0]["sentence"] == SENTENCE


async def test_a_rollout_says_which_commands_its_phase_allows(site):
    async def allowed() -> list[str]:
        return (await (await site.get("/api/v1/rollouts/flight-delay")).json())["commands"]

    assert await allowed() == ["promote", "pause", "abort", "rollback", "set-weight"]
    await site.post("/api/v1/rollouts/flight-delay/rollback")
    assert await allowed() == ["retry"]


async def test_why_shows_the_entry(site):
    told = await (await site.get("/api/v1/rollouts/flight-delay/why?at=12.5")).json()

    assert "started" in told["sentence"]
    assert told["entry"]["rollout"] == "flight-delay-1"


async def test_journal_is_cut_by_route_id_and_limit(site):
    await site.post("/api/v1/rollouts/flight-delay/pause")
    await site.post("/api/v1/rollouts/flight-delay/resume")

    entries = (await (await site.get("/api/v1/journal?limit=2")).json())["entries"]
    newer = (await (await site.get("/api/v1/journal?since=2&route=flight-delay")).json())["entries"]

    assert [entry["id"] for entry in entries] == [3, 2]
    assert [entry["id"] for entry in newer] == [3]


@pytest.mark.parametrize(
    "query",
    ["journal?limit=0", "journal?limit=1001", "journal?limit=x", "journal?limit=1_0",
     "journal?since=-1", "journal?rote=a", "journal?limit=1&limit=2", "whois?route=a",
     "rollouts/flight-delay/why?at=nan", "rollouts/flight-delay/why?at=inf",
     "journal?route=" + "x" * 64],
)  # fmt: skip
async def test_a_wrong_query_is_422(site, query):
    assert (await site.get(f"/api/v1/{query}")).status == 422


async def test_whois(site):
    told = await (await site.get("/api/v1/whois?route=flight-delay&key=u%201")).json()

    assert (told["version"], told["bucket"]) == ("v1", 3)


async def test_metrics_say_their_format(site):
    answer = await site.get("/metrics")

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "rampway_weight_ratio" in await answer.text()


@pytest.mark.parametrize(
    ("accept", "rich"),
    [
        ("", False), ("*/*", False), ("text/plain", False),
        ("application/openmetrics-text;version=1.0.0", True),
        ("application/openmetrics-text;version=0.0.1", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", True),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.9", False),
        ("application/openmetrics-text;q=x", False), (";;,,=", False),
    ],
)  # fmt: skip
async def test_openmetrics_is_for_who_prefers_it(site, accept, rich):
    answer = await site.get("/metrics", Accept=accept)

    text = await answer.text()
    assert answer.headers["Content-Type"].startswith(
        "application/openmetrics-text; version=1.0.0" if rich else "text/plain; version=0.0.4"
    )
    assert ("# EOF" in text) == rich


async def test_freeze_and_reload_are_for_admins(guarded):
    frozen = await guarded.post("/api/v1/freeze", {"frozen": True}, **bearer("admin"))
    missing = await guarded.post("/api/v1/freeze", {}, **bearer("admin"))
    reload = await guarded.post("/api/v1/reload", {"force": True}, **bearer("admin"))

    assert guarded.controller.frozen
    assert (frozen.status, missing.status) == (200, 422)
    assert (await reload.json())["changed"]


@pytest.mark.parametrize(
    ("body", "status", "about"),
    [
        ({"frozen": True, "route": "flight-delay", "for": "12h"}, 200, ("flight-delay", 43_200.0)),
        ({"frozen": True, "for": "30m"}, 200, ("", 1_800.0)),
        ({"frozen": False, "route": "flight-delay"}, 200, ("flight-delay", None)),
        ({"frozen": True, "route": "nowhere"}, 404, None),
        ({"frozen": True, "for": "soon"}, 422, None),
        ({"frozen": True, "for": 30}, 422, None),
        ({"frozen": False, "for": "30m"}, 422, None),
    ],
)
async def test_a_freeze_of_one_route_and_for_a_time(site, body, status, about):
    answer = await site.post("/api/v1/freeze", body)

    assert answer.status == status
    assert getattr(site.controller, "frozen_about", None) == about


async def test_a_retry_can_be_forced(site):
    for command, body in (("abort", {}), ("retry", {"force": True, "reason": "now"})):
        answer = await site.post(f"/api/v1/rollouts/flight-delay/{command}", body)
        assert answer.status == 200, await answer.text()
    assert site.controller.orders[-1].force


async def test_the_document_lists_exactly_what_is_served(site):
    document = await (await site.get("/api/v1/openapi.json")).json()

    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    served = set()
    for route in ROUTES:
        names = list(COMMANDS) if route.commands else [""]
        served |= {(route.method, route.path.replace("{command}", name)) for name in names}
    assert served == described
    references = set(re.findall(r'"#/components/schemas/(\w+)"', str(document).replace("'", '"')))
    assert references <= set(document["components"]["schemas"])


def _example(path: str) -> str:
    query = {"/api/v1/whois": "?route=flight-delay&key=a"}.get(path, "")
    return path.replace("{route}", "flight-delay").replace("{file}", "app.js") + query


async def test_the_real_handlers_answer_as_the_document_says(site):
    document = await (await site.get("/api/v1/openapi.json")).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "get" and path == "/api/v1/events":
                continue  # test_stream reads it
            if method == "get":
                answer = await site.get(_example(path))
            else:
                answer = await site.post(_example(path), {"reason": "documented"})
            described = operation["responses"].get(str(answer.status))
            assert described is not None, (path, answer.status)
            _check(answer, await answer.text(), described)


def _check(answer, text: str, described: dict) -> None:
    ((media, content),) = described["content"].items()
    assert media in (answer.content_type, "application/octet-stream"), answer.url
    reference = content["schema"].get("$ref")
    if reference:
        found = wrong(json.loads(text), reference.rpartition("/")[2])
        assert not found, (answer.url, found)


async def test_what_is_not_there_is_a_problem_document(site):
    for path in ("/nowhere", "/static/../server.py", "/static/%2e%2e%2fserver.py", "/static/x"):
        answer = await site.get(path)

        assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_the_page_is_self_contained(site):
    answer = await site.get("/")
    html = await answer.text()

    assert answer.content_type == "text/html"
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"\son\w+=|style=|https?://", html)
    for name in re.findall(r'(?:src|href)="/static/([^"]+)"', html):
        found = await site.get(f"/static/{name}")
        assert found.status == 200, name
        again = await site.get(f"/static/{name}", If_None_Match=found.headers["ETag"])
        assert again.status == 304


async def test_who_asks(guarded, site):
    assert await (await guarded.get("/api/v1/session", **bearer("viewer"))).json() == {
        "name": "the-viewer",
        "role": "viewer",
        "open": False,
    }
    assert (await (await site.get("/api/v1/session")).json())["open"]


async def test_head_is_get_without_a_body(site):
    answer = await site.raw("HEAD", "/healthz")

    assert (answer.status, answer.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    ("path", "body", "status", "view"),
    [
        ("claim", {"count": 2}, 200, "ClaimedView"),
        ("claim", {"count": 0}, 422, "ProblemDocument"),
        ("claim", {"count": 1.5}, 422, "ProblemDocument"),
        ("answer", {"id": "q", "answer": True}, 200, "ReviewedView"),
        ("answer", {"id": "q", "answer": [1, "late"]}, 200, "ReviewedView"),
        ("answer", {"id": "x", "answer": 1.5}, 409, "ProblemDocument"),
        ("answer", {"id": "q", "answer": None}, 422, "ProblemDocument"),
        ("answer", {"id": "q"}, 422, "ProblemDocument"),
        ("release", {"id": "q"}, 200, "ReviewedView"),
        ("release", {"id": "x"}, 409, "ProblemDocument"),
    ],
)
async def test_questions_for_people(site, path, body, status, view):
    answer = await site.post(f"/api/v1/reviews/{path}", body)
    assert (answer.status, wrong(await answer.json(), view)) == (status, [])
