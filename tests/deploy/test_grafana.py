"""The dashboard for Grafana: of metrics that there are, and every query is run by Prometheus."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from router.telemetry.metrics import FAMILIES
from tests.live.kit import Clients, Lab
from tests.ports import free_port

FOLDER = Path(__file__).resolve().parents[2] / "deploy/grafana"
PROMETHEUS = shutil.which("prometheus")
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: rampway, static_configs: [{{targets: ["{target}"]}}]}}]
"""
ROUTE = """\
  - name: prices
    match: {path: /prices}
    payload: open_inference_v2
    predictions: {score: y, features: {x: numeric}}
    monitors: {reference: {past: 1m}}
    versions: {v1: {endpoints: ["<v1>"]}, v2: {endpoints: ["<v2>"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 50%, mirror: 100%, hold: 1h}]}}
      gates: [error_rate, guard]
"""
EMPTY = {
    "retries_total", "tunnels", "mirror_dropped_total", "monitor_size", "monitor_alarms",
    "feedback_total", "version_usage", "tokens_per_answer", "token_cost_per_answer",
    "rejected_total", "quota_refused_total", "samples_total", "rescues_total",
    "time_to_first_byte_seconds_bucket", "rollback_seconds_bucket",
}  # fmt: skip
"""What this route gives no reason for: such a query may find nothing, but must be understood."""


def queries():
    """Every expression of the file."""
    board = json.loads((FOLDER / "rampway.json").read_text())
    found = [t["expr"] for panel in board["panels"] for t in panel.get("targets", ())]
    return found + [one["expr"] for one in board["annotations"]["list"]]


def names(query):
    return set(re.findall(r"\brampway_([a-z_]+)", query))


def test_it_asks_for_metrics_that_the_router_has():
    used = {name for query in queries() for name in names(query)}
    suffixed = {re.sub(r"_bucket$", "", name) for name in used}
    assert suffixed <= set(FAMILIES)


def test_panels_lie_beside_each_other_and_each_says_what_it_shows():
    places = set()
    for panel in json.loads((FOLDER / "rampway.json").read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & places, panel["title"]
        places |= cells
        assert panel["type"] == "row" or panel["description"]
        assert max(x for x, _ in cells) < 24


def ask(port, query):
    text = (
        query.replace("$route", ".*").replace("$version", ".*").replace("$__rate_interval", "20s")
    )
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


@contextlib.asynccontextmanager
async def scraping(folder, target):
    """The port of a Prometheus that asks ``target`` (host:port) each second."""
    if PROMETHEUS is None:
        pytest.skip("no prometheus binary on this machine (Debian package: prometheus)")
    port, config = free_port(), folder / "prometheus.yml"
    config.write_text(CONFIG.format(target=target))
    process = subprocess.Popen(
        [PROMETHEUS, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
         f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def scraped(tmp_path):
    """A router, and the port of a Prometheus that scrapes it."""
    async with Lab(tmp_path, names=("v1", "v2")) as lab:
        lab.write(ROUTE)
        await lab.start()
        async with scraping(tmp_path, f"127.0.0.1:{lab.ports[1]}") as port:
            yield lab, port


async def answered(port, still, seconds=80):
    """Until each of these queries has found something; those that never did."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while still:
                await asyncio.sleep(0.2)
                for query in sorted(still):
                    with contextlib.suppress(urllib.error.URLError):  # it is not there yet
                        if await asyncio.to_thread(ask, port, query):
                            still.discard(query)
    return still


@pytest.mark.api
async def test_every_query_is_understood_and_finds_what_there_is(scraped):
    """Before a rollback, and what only comes with it afterwards; a query in error raises."""
    lab, port = scraped
    every = {query for query in queries() if not names(query) & EMPTY}
    later = {query for query in every if "decisions" in query or 'outcome!="ok"' in query}
    async with Clients(lab.port, ("/prices",), per_s=100):
        assert not await answered(port, every - later)
        lab.versions["v2"].bad = 1.0
        assert not await answered(port, later)
    for query in queries():
        await asyncio.to_thread(ask, port, query)
    up = await asyncio.to_thread(ask, port, "rampway_endpoint_up")
    assert {(one["metric"]["version"], one["value"][1]) for one in up} == {("v1", "1"), ("v2", "1")}
