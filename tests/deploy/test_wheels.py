"""What lies in site-packages: the router's wheel has `router` only, the services have their own."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling is not installed (pip install 'rampway[dev]')")

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("project", "package"), [(".", "router"), ("deploy/services", "prediction_services")]
)
def test_a_wheel_holds_one_package(project, package, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT / project, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {package}


def test_the_demo_says_what_it_needs(tmp_path):
    """As with the bare wheel: `router` is there and `prediction_services` is not."""
    code = (
        "import sys; sys.modules['prediction_services'] = None\n"
        "from router.__main__ import main; sys.argv = ['rampway', 'demo']; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("rampway: demo needs the demonstration services")
    assert line.endswith("pip install . ./deploy/services")
