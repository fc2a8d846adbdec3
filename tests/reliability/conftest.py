"""Fixtures of the whole program, for every module here; long versions only when asked for."""

import pytest

from tests.reliability.whole import both, nursery, services, shared, site

__all__ = ["both", "nursery", "services", "shared", "site"]


def pytest_collection_modifyitems(config, items):
    """Skip this folder's nightly tests unless ``-m`` names them."""
    if "nightly" in config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="nightly: run with -m nightly")
    for item in items:
        if "reliability" in item.path.parts and item.get_closest_marker("nightly"):
            item.add_marker(skip)
