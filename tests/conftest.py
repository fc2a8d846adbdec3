"""What holds for every folder: nightly tests on demand, strict times on demand."""

import os
import signal

import pytest

TOGETHER = (
    "tests/core/test_shadow_flights.py",
    "tests/prediction_services/test_models.py",
    "tests/registry/test_mlflow.py",
    "tests/reliability/test_admin.py",
    "tests/reliability/test_config.py",
    "tests/reliability/test_observability.py",
)
"""Modules whose tests share something slow to make; the others are spread test by test."""


def pytest_addoption(parser):
    parser.addoption(
        "--strict-times",
        action="store_true",
        help="assert the promised times themselves: serially, on a machine that does nothing else",
    )


def pytest_configure(config):
    if config.getoption("--strict-times"):
        os.environ["RAMPWAY_STRICT_TIMES"] = "1"  # processes that tests start see it too
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs so; the programs that tests interrupt would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Skip nightly tests unless ``-m`` names them."""
    if "nightly" in config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="nightly: run with -m nightly")
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker(skip)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """``loadgroup`` without marks: those of xdist 3.8 are lost on pytest 9.2, without a word."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.partition("::")[0]
            return module if module in TOGETHER else nodeid

    return Together(config, log)
