"""Registry write-back against a server that answers like MLflow 3 (recorded from a real one)."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from router.core.rollout.events import Abort, Retry, Rollback
from router.core.rollout.rollout import Phase
from tests.registry.conftest import said

API = "/api/2.0/mlflow/registered-models"


class Registry:
    """One registered model with versions 1 to 3 and its aliases."""

    def __init__(self):
        self.aliases = {}
        self.writes = []
        self.headers = []
        self.broken = 0
        self.missing = False

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get(f"{API}/get", self._get)
        app.router.add_post(f"{API}/alias", self._set)
        app.router.add_delete(f"{API}/alias", self._delete)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    def _refusal(self, request):
        self.headers.append(dict(request.headers))
        if self.broken:
            self.broken -= 1
            return web.Response(status=503)
        if self.missing:
            error = {"error_code": "RESOURCE_DOES_NOT_EXIST",
                     "message": "Registered Model with name=delay not found"}  # fmt: skip
            return web.json_response(error, status=404)
        return None

    async def _get(self, request):
        assert request.query["name"] == "delay"
        listed = [{"alias": a, "version": v} for a, v in self.aliases.items()]
        model = {"name": "delay"} | ({"aliases": listed} if listed else {})
        return self._refusal(request) or web.json_response({"registered_model": model})

    async def _set(self, request):
        body = await request.json()
        assert body["name"] == "delay"
        assert body["version"] in ("1", "2", "3")
        self.writes.append(("set", body["alias"], body["version"]))
        self.aliases[body["alias"]] = body["version"]
        return web.json_response({})

    async def _delete(self, request):
        body = await request.json()
        self.writes.append(("delete", body["alias"]))
        self.aliases.pop(body["alias"], None)
        return web.json_response({})


@pytest.fixture
async def registry():
    async with Registry() as made:
        yield made


async def test_aliases_follow_a_promotion_and_its_undo(registered, registry):
    registry.aliases["other-team"] = "3"
    async with registered(registry.url) as w:
        await w.until(lambda: registry.aliases.get("challenger") == "2")
        assert registry.aliases["champion"] == "1"
        await w.until(lambda: w.rollout.phase is Phase.COMPLETED)
        await w.until(lambda: "challenger" not in registry.aliases)
        assert registry.aliases == {"champion": "2", "other-team": "3"}
        await w.order(Rollback("ann", "customers complain"))
        await w.until(lambda: registry.aliases["champion"] == "1")
        await w.until(lambda: len(said(w)) == 3)
    assert said(w) == [
        "registry: delay: champion -> 1, challenger -> 2",
        "registry: delay: champion -> 2, challenger removed from 2",
        "registry: delay: champion -> 1",
    ]
    assert w.counts["registry", "failed"] == 0


async def test_a_rollback_takes_the_challenger_away_and_leaves_the_champion(registered, registry):
    registry.aliases["champion"] = "1"
    async with registered(registry.url, steps="[{weight: 50%, hold: 9h}]") as w:
        await w.until(lambda: registry.aliases.get("challenger") == "2")
        await w.until(lambda: w.rollout.phase is Phase.ROLLED_BACK, candidate=1.0)
        await w.until(lambda: registry.aliases == {"champion": "1"})
        await w.order(Retry("ann"))
        await w.until(lambda: registry.aliases.get("challenger") == "2")
    assert ("set", "champion", "1") not in registry.writes, "it was so already"


async def test_another_ones_challenger_is_left_alone(registered, registry):
    async with registered(registry.url, steps="[{weight: 50%, hold: 9h}]") as w:
        await w.until(lambda: registry.aliases.get("challenger") == "2")
        registry.aliases["challenger"] = "3"
        await w.order(Abort())
        await w.until(lambda: w.counts["registry", "delivered"] == 2)
    assert registry.aliases["challenger"] == "3"


async def test_names_aliases_and_headers_are_the_policys(registered, registry):
    more = (
        ", aliases: {stable: live, candidate: null}, versions: {v1: '3'}, "
        "headers: {Authorization: hunter22}"
    )
    async with registered(registry.url, more=more) as w:
        await w.until(lambda: w.rollout.phase is Phase.COMPLETED)
        await w.until(lambda: registry.aliases == {"live": "2"})
    assert registry.writes == [("set", "live", "3"), ("set", "live", "2")]
    assert all(h["Authorization"] == "hunter22" for h in registry.headers)
    assert "hunter22" not in json.dumps([r.to_json() for r in w.disk.records.values()])


async def test_a_registry_that_is_down_delays_nothing_and_gets_the_last_word(registered, registry):
    registry.broken = 3
    async with registered(registry.url) as w:
        w.outreach.outbox._pause_s = 0.02
        await w.until(lambda: w.rollout.phase is Phase.COMPLETED)
        await w.until(lambda: registry.aliases == {"champion": "2"})
        assert w.counts["registry", "failed"] == 0


async def test_a_clear_no_is_told_once_with_mlflows_own_words(registered, registry):
    registry.missing = True
    async with registered(registry.url, steps="[{weight: 50%, hold: 9h}]") as w:
        await w.until(lambda: said(w))
    assert said(w) == [
        (
            "registry: delay was not updated: MLflow answered 404: "
            "Registered Model with name=delay not found"
        )
    ]
    assert len(registry.headers) == 1, "not tried again"


async def test_only_changes_of_roles_write(registered, registry):
    steps = "[{weight: 1%, hold: 5s}, {weight: 2%, hold: 5s}, {weight: 3%, hold: 9h}]"
    async with registered(registry.url, steps=steps) as w:
        await w.until(lambda: w.rollout.step == 2)
        await w.until(lambda: w.counts["registry", "delivered"] == 1)
        assert len(registry.headers) == 1
