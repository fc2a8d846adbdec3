"""The compiled hot path does what the pure one does: the same tests, on the same sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = (
    "tests/http1", "tests/proxy", "tests/upstream", "tests/telemetry",
    "tests/reliability/test_framing.py", "tests/reliability/test_backends.py",
    "tests/reliability/test_shadow.py",
)  # fmt: skip
LOOK_INSIDE = (
    "tests/http1/test_parser.py::test_errors_never_repeat_input",
    "tests/http1/test_headers.py::test_heads_are_bounded",
    "tests/proxy/test_mirror.py::test_what_the_router_does_not_send_is_no_failure_of_the_shadow",
    "tests/proxy/test_mirror.py::test_a_shadow_that_cannot_be_reached_has_failed",
    "tests/proxy/test_mirror.py::test_a_closed_lane_blames_nobody",
    "tests/proxy/test_mirror.py::test_what_waits_for_a_shadow_that_is_gone_is_dropped_and_the_rest_may_end",
    "tests/proxy/test_mirror.py::test_the_second_close_drops_it",
    "tests/proxy/test_sampling.py::test_beyond_the_bounds_nothing_is_sampled_and_the_cells_agree",
    "tests/proxy/test_life_of_a_request.py::test_the_page_tells_what_a_request_passes",
    "tests/proxy/test_stage.py",
    "tests/proxy/test_turns.py::test_requests_that_nobody_serves_are_answered_some_a_turn",
    "tests/upstream/test_desk.py::test_it_answers_when_the_request_is_whole",
    "tests/upstream/test_desk.py::test_who_leaves_is_answered_nothing_and_the_desk_is_bounded",
)
"""Tests that put Python objects where a compiled module has typed ones, or watch its frames."""


@pytest.mark.compiled
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_same_tests_pass_with_the_compiled_hot_path(tmp_path):
    from hatch_build import COMPILED, compile_into

    built = compile_into(ROOT / "router", tmp_path)
    assert len(built) == len(COMPILED) + 1  # and the library they share
    for name in ("tests", "configs", "prediction_services", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    deselected = [word for name in LOOK_INSIDE for word in ("--deselect", name)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", *RUN, *deselected],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(ran.stdout[-3000:])
    assert ran.returncode == 0


@pytest.mark.compiled
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_wheel_that_is_made_says_that_it_is_compiled(tmp_path):
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if name.startswith(("router/", "prediction_services/")) or "/" not in name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["make", "wheel", f"PY={sys.executable}"], cwd=tmp_path, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert "manylinux" in wheel.name
    place = tmp_path / "installed"
    place.mkdir()
    shutil.unpack_archive(wheel, place, "zip")
    told = subprocess.run(
        [sys.executable, "-m", "router", "version"], cwd=place,
        env=os.environ | {"PYTHONPATH": str(place)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "hot path compiled" in told.stdout
