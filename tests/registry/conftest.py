"""What registry tests share: a rollout whose registry is somewhere on this machine."""

from __future__ import annotations

import pytest

from tests.control.conftest import canary
from tests.control.outside_world import OutsideWorld


@pytest.fixture
def registered():
    def make(url, *, more="", steps="[{weight: 1%, hold: 5s}]", **settings):
        registry = f"registry: {{mlflow: {{url: '{url}', model: delay{more}}}}}"
        text = canary(steps=steps, bake="5s", **settings)
        return OutsideWorld(text.replace("    stable: v1", f"    stable: v1\n    {registry}"))

    return make


def said(world):
    return [e.reason for e in world.disk.entries if e.action == "registry"]
