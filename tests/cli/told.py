"""Views as a router would give them, with what a test is about put in."""

from __future__ import annotations

from typing import Any

from router.control.told.views import GateView, OfferedRollout, RouteView
from tests.admin.fake_controller import ROUTE, FakeController


def rollout(**more: Any) -> OfferedRollout:
    """The fake router's rollout."""
    plain = FakeController().plain_rollout(ROUTE)
    return OfferedRollout.of({**plain, "commands": [], **more})


def route(**more: Any) -> RouteView:
    """The fake router's route."""
    return RouteView.of({**FakeController().plain_route(ROUTE), **more})


def gate(**more: Any) -> GateView:
    """A gate that found nothing."""
    plain = {"bad": 0, "total": 0}
    known = {
        "name": "g", "gate": "error_rate", "verdict": "pass", "sentence": "s", "evidence": 1.0,
        "limit": None, "candidate": plain, "stable": plain, "dry_run": False, "lacks": "",
    }  # fmt: skip
    return GateView.of({**known, **more})
