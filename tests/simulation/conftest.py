"""Simulated years are run only when somebody asks for the nightly tests."""

import pytest


def pytest_collection_modifyitems(config, items):
    """Skip this folder's nightly tests unless ``-m`` names them."""
    if "nightly" in config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="nightly: run with -m nightly")
    for item in items:
        if "simulation" in item.path.parts and item.get_closest_marker("nightly"):
            item.add_marker(skip)
