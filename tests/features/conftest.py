"""The control plane in virtual time, as the tests of the control package have it."""

import pytest

from tests.control.conftest import World, canary


@pytest.fixture
def world():
    return World


@pytest.fixture
def policy():
    """A policy whose rollout has the given strategy, written as in YAML."""

    def make(strategy, more=""):
        text = canary().replace(
            "canary: {steps: [{weight: 1%, hold: 60s}, {weight: 25%, hold: 60s}], bake: 30s}",
            strategy,
        )
        assert strategy in text
        return text.replace("on_new_candidate: queue", f"on_new_candidate: queue\n      {more}")

    return make
