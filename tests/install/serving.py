"""A free port, and a router that is waited for."""

import socket
import time
import urllib.request

LAUNCH_S_MAX = 30


def wait_ready(url, router):
    until = time.monotonic() + LAUNCH_S_MAX
    while time.monotonic() < until and router.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"not ready: {router.stderr.read() if router.poll() else url}")


def free():
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
