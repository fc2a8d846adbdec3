"""A router that is waited for."""

import time
import urllib.request

LAUNCH_S_MAX = 60


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
