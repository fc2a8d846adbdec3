"""The verdict as Argo Rollouts and Flagger ask it, of a live router."""

from __future__ import annotations

import pytest

from tests.live.kit import Clients, Lab, route

pytestmark = pytest.mark.api

CANARY = "{canary: {steps: [{weight: 50%, hold: 1h}]}}"
FLAGGER = {
    "name": "r", "namespace": "prod", "phase": "Progressing", "checksum": "85d557f47b",
    "buildId": "4d1f", "type": "confirm-promotion", "failedChecks": 1, "canaryWeight": 30,
    "iterations": 0, "remainingTime": 3_600_000_000_000, "metadata": {"team": "pricing"},
}  # fmt: skip


async def confirmed(lab, point):
    return await lab.post(f"/api/v1/rollouts/r/confirm-{point}", FLAGGER)


async def test_argo_and_flagger_hear_pending_then_fail(tmp_path):
    async with Lab(tmp_path) as lab:
        lab.write(route(CANARY))
        await lab.start()
        async with Clients(lab.port, per_s=100):
            await lab.until(lambda said: said["versions"]["v2"]["requests"])
            said = await lab.get("/api/v1/rollouts/r/verdict")
            assert (said["success"], said["failure"]) == (said["verdict"] == "pass", False)
            assert (await confirmed(lab, "rollout"))[0] == 200
            assert (await confirmed(lab, "rollback"))[0] == 409
            lab.versions["v2"].bad = 1.0
            now = await lab.until("rolled_back")
        said = await lab.get("/api/v1/rollouts/r/verdict")
        assert (said["verdict"], said["success"], said["failure"]) == ("fail", False, True)
        assert said["sentence"] == now["reason"]
        assert set(said["gates"]) >= {"error_rate", "guard"}
        status, problem = await confirmed(lab, "promotion")
        assert (status, problem["code"]) == (409, "not_confirmed")
        assert now["reason"] in problem["detail"]
        assert (await confirmed(lab, "rollback"))[0] == 200
        assert (await lab.get("/api/v1/rollouts/r"))["revision"] == now["revision"]
