"""Fixtures of the whole program, for every module here."""

from tests.reliability.whole import both, nursery, services, shared, site

__all__ = ["both", "nursery", "services", "shared", "site"]
