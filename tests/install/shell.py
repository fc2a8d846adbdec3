"""Where the checkout is, who builds, and a command that must succeed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDER = os.environ.get("RAMPWAY_TEST_BUILD_PYTHON", sys.executable)
"""A Python that has build, twine and check-wheel-contents; `make test-install` names one."""


def run(*command, **options):
    """What a command printed on both streams; it must succeed."""
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    assert ran.returncode == 0, ran.stdout[-3_000:]
    return ran.stdout
