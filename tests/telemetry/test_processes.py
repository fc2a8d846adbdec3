"""What processes use, read by Prometheus' own parser."""

import os
import subprocess
import sys

from prometheus_client.parser import text_string_to_metric_families

from router.telemetry.processes import exposition


def test_each_process_has_its_label_and_each_family_one_head():
    child = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()  # it runs
        text = exposition({"control": os.getpid(), "worker-0": other.pid})
        other.stdin.write(b"\n")
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families) >= 5
    memory = next(f for f in families if f.name == "process_resident_memory_bytes")
    used = {sample.labels["process"]: sample.value for sample in memory.samples}
    assert set(used) == {"control", "worker-0"}
    assert min(used.values()) > 1e6


def test_a_process_that_has_ended_is_left_out():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    text = exposition({"control": os.getpid(), "worker-0": ended.pid})
    assert "control" in text
    assert "worker-0" not in text
    assert exposition({}) == ""
