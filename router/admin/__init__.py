"""The admin interface: health, metrics, API, events and dashboard, on a listener of its own.

Start reading in :mod:`router.admin.routes`, the table of everything that is served, then
:mod:`router.admin.server` for what every request passes first.
"""

from router.admin.server import AdminServer

__all__ = ["AdminServer"]
