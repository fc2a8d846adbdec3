"""What holds for every folder: nightly tests on demand, strict times on demand."""

import os

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--strict-times",
        action="store_true",
        help="assert the promised times themselves: serially, on a machine that does nothing else",
    )


def pytest_configure(config):
    if config.getoption("--strict-times"):
        os.environ["RAMPWAY_STRICT_TIMES"] = "1"  # processes that tests start see it too


def pytest_collection_modifyitems(config, items):
    """Skip nightly tests unless ``-m`` names them."""
    if "nightly" in config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="nightly: run with -m nightly")
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker(skip)
