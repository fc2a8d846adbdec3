"""The unit, checked by systemd's own tools where they are installed."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from router.core.policy import LimitsPolicy

UNIT = Path(__file__).resolve().parents[2] / "deploy/systemd/rampway.service"
EXPOSURE_MAX = 20
"""In tenths: 2.0 of 10, "OK" in systemd's words."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture(scope="module")
def unit():
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser


def analyze(*arguments, unit=UNIT):
    return subprocess.run(
        ["systemd-analyze", *arguments, str(unit)], capture_output=True, text=True, check=False
    )


@needs_systemd
def test_systemd_knows_every_line(tmp_path):
    """On a copy whose programs exist, so that what is left to complain about are real mistakes."""
    copy = tmp_path / "rampway.service"
    copy.write_text(UNIT.read_text().replace("/opt/rampway/bin/rampway", "/bin/true"))

    result = analyze("verify", "--man=no", unit=copy)

    complaints = [line for line in result.stderr.splitlines() if "rampway.service" in line]
    assert complaints == []
    assert result.returncode == 0, result.stderr


@needs_systemd
def test_a_wrong_line_would_be_found(tmp_path):
    copy = tmp_path / "rampway.service"
    copy.write_text(UNIT.read_text().replace("RestartSec=", "RestartSecond="))

    assert "RestartSecond" in analyze("verify", "--man=no", unit=copy).stderr


@needs_systemd
def test_exposure_is_low():
    result = analyze("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}")

    assert result.returncode == 0, result.stdout[-400:]


def test_it_serves_the_file_that_it_checks(unit):
    check, serve = unit["Service"]["ExecStartPre"], unit["Service"]["ExecStart"]

    assert check.split()[2] == serve.split()[2] == "/etc/rampway/rampway.yaml"
    assert check.split()[1:2] == ["check"]
    assert serve.split()[1:2] == ["serve"]


def test_requests_under_way_may_finish_before_the_kill(unit):
    stop_s = int(unit["Service"]["TimeoutStopSec"].removesuffix("s"))

    assert stop_s > LimitsPolicy().drain


def test_files_suffice_for_the_connections(unit):
    """One descriptor to the client and one to a version for each."""
    assert int(unit["Service"]["LimitNOFILE"]) >= 2 * LimitsPolicy().connections
