"""What the router's processes use, as Prometheus' client library reads it from ``/proc``.

The names are those of every client library (``process_cpu_seconds_total``,
``process_resident_memory_bytes``, ...), so that ready-made dashboards fit; the label ``process``
tells control, workers and reader apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


def exposition(pids: Mapping[str, int], *, openmetrics: bool = False) -> str:
    """Text format 0.0.4 of processes by their name; one that has ended is left out.

    ``openmetrics``: in that format, with its ``# EOF``.

    Reads files and, the first time, imports for 35 ms: call it in a thread.
    """
    from prometheus_client import exposition as plain  # noqa: PLC0415 - at the first scrape
    from prometheus_client.openmetrics import exposition as rich  # noqa: PLC0415 - as above

    write = rich.generate_latest if openmetrics else plain.generate_latest
    return write(_Processes(pids)).decode()


@dataclass(frozen=True)
class _Processes:
    """A collector that puts the samples of several processes into one family each."""

    pids: Mapping[str, int]

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for name, pid in self.pids.items():
            for found in _read(pid):
                family = families.setdefault(found.name, found)
                samples = [one._replace(labels={"process": name}) for one in found.samples]
                family.samples = samples if family is found else family.samples + samples
        yield from families.values()


def _read(pid: int) -> list[Metric]:
    from prometheus_client.process_collector import ProcessCollector  # noqa: PLC0415 - as above

    return list(ProcessCollector(pid=lambda: pid, registry=None).collect())
