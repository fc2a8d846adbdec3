"""Fixtures of the whole program, for every module here."""

from tests.reliability.whole import both, services, shared, site

__all__ = ["both", "services", "shared", "site"]
