from pathlib import Path

import pytest

from prediction_services.demo.cast import CAST
from prediction_services.demo.policy import (
    BLUE_GREEN,
    CANARY,
    EXAMPLE,
    SHADOW_SAMPLES,
    STEPS_BP,
    PolicyFile,
    Rollout,
)
from router.config import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def loaded(tmp_path):
    def load_text(policy: PolicyFile):
        path = tmp_path / "rampway.yaml"
        path.write_text(policy.text())
        return load(path).policy

    return load_text


def test_the_example_in_configs_is_what_the_demo_writes():
    assert (ROOT / "configs/demo.yaml").read_text() == EXAMPLE.text()


def test_the_example_names_every_player():
    assert list(EXAMPLE.endpoints) == [player.name for player in CAST]


def test_the_canary_is_what_the_expectations_expect(loaded):
    plan = loaded(EXAMPLE).routes[0].rollout.plan()

    assert [step.weight_bp for step in plan.steps] == [0, *STEPS_BP]
    assert plan.steps[0].until_samples == SHADOW_SAMPLES
    assert plan.steps[0].mirror_bp == 10_000
    assert plan.bake_s > 0


@pytest.mark.parametrize("candidate", ["v3", "broken-zero", "v4", "v5"])
@pytest.mark.parametrize("strategy", [CANARY, BLUE_GREEN], ids=["canary", "blue-green"])
def test_every_edit_is_a_valid_policy(loaded, candidate, strategy):
    policy = loaded(EXAMPLE.edited("v2", Rollout(candidate, strategy)))

    assert policy.routes[0].stable == "v2"
    assert policy.routes[0].rollout.candidate == candidate


def test_the_first_file_has_no_rollout(loaded):
    assert loaded(EXAMPLE.edited("v2", None)).routes[0].rollout is None


def test_the_quick_start_is_valid():
    assert load(ROOT / "configs/quickstart.yaml").policy.routes[0].rollout.candidate == "v3"
