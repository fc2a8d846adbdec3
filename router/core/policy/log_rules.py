"""Rules about where the prediction log is; see `rules`."""

from __future__ import annotations

from collections.abc import Iterator

from router.core.databases import POSTGRES_URLS
from router.core.policy.finding import Finding
from router.core.policy.server import Policy


def log_reached(policy: Policy) -> Iterator[Finding]:
    """Whoever leads next finds what was logged: late truth waits in vain for what is elsewhere."""
    file = policy.prediction_log.file
    logged = any(route.log is not None for route in policy.routes)
    if logged and policy.store.startswith(POSTGRES_URLS) and not file.startswith(POSTGRES_URLS):
        message = f"the log {file} is a file of one machine, the store a database of several"
        hint = "write file: postgresql://USER@HOST/DATABASE, or who leads next begins another log"
        yield Finding(("prediction_log", "file"), message, hint, error=False)
