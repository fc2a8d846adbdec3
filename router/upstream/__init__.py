"""Connections to the versions: endpoints, pools, balancing, health, breaker.

Nothing here knows requests or routes. A pool hands a connection to whoever asked, at once or later,
and says why when it cannot; an exchange speaks over the connection and gives back its verdict.
"""

from router.upstream.connection import Connection, Endpoint, Receiver
from router.upstream.failure import Failure
from router.upstream.pool import Pool
from router.upstream.pools import Pools
from router.upstream.waiter import Waiter

__all__ = ["Connection", "Endpoint", "Failure", "Pool", "Pools", "Receiver", "Waiter"]
