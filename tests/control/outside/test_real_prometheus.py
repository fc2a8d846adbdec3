"""Gates that ask outside, against a real Prometheus and a real small server."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import aiohttp
import pytest
from aiohttp import web

from router.control.outside.measure import Asker, Inquiry
from router.core.rollout.rollout import Phase
from tests.ports import free_port

PROMETHEUS = shutil.which("prometheus")
READY_S = 20.0

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: candidate
    static_configs: [{{targets: ["{target}"]}}]
"""


async def until(what, *, seconds=READY_S):
    """Poll with a deadline; the value that was waited for."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        found = await what()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing within {seconds:g} s")


class Site:
    """A small server: an exporter of one gauge, and a hook; both do as they are told."""

    def __init__(self):
        self.gpu_ratio = 0.4
        self.hook_status = 200
        self.told = []

    async def metrics(self, _request):
        return web.Response(text=f'gpu_memory_ratio{{version="v2"}} {self.gpu_ratio}\n')

    async def hook(self, request):
        self.told.append(await request.json())
        return web.Response(status=self.hook_status)


@pytest.fixture(scope="module")
def scraping(tmp_path_factory):
    """A Prometheus, its URL and the port it scrapes; it takes five seconds to look there first."""
    if PROMETHEUS is None:
        pytest.skip("no prometheus binary on this machine (Debian package: prometheus)")
    folder, port, target = tmp_path_factory.mktemp("prometheus"), free_port(), free_port()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(target=f"127.0.0.1:{target}"))
    process = subprocess.Popen(
        [PROMETHEUS, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
         f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield f"http://127.0.0.1:{port}", target
    process.terminate()
    process.wait(10)


@pytest.fixture
async def site(scraping):
    """Where the Prometheus of this module looks; it has seen it."""
    made, (made.prometheus, port) = Site(), scraping
    app = web.Application()
    app.add_routes([web.get("/metrics", made.metrics), web.post("/hook", made.hook)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made.address = f"127.0.0.1:{port}"
    async with aiohttp.ClientSession() as client:

        async def scraped():
            try:
                query = {"query": "gpu_memory_ratio"}
                async with client.get(f"{made.prometheus}/api/v1/query", params=query) as answer:
                    return answer.status == 200 and (await answer.json())["data"]["result"]
            except aiohttp.ClientError:
                return None

        await until(scraped)
    yield made
    await runner.cleanup()


@pytest.fixture
def prometheus(site):
    return site.prometheus


class Asked:
    """A rollout in virtual time whose questions go out for real."""

    def __init__(self, world):
        self.w = world
        self.answers = asyncio.Queue()

    async def look(self, asker):
        """One interval: ask what is due, hand the answers in, let it be decided."""
        run = self.w.reconciler.runs["r"]
        for title in run.trial.judge.due(self.w.clock.now()):
            asker.ask(Inquiry("r", run.trial.judge.gates[title], {"candidate": "v2"}))
            question, measurement = await asyncio.wait_for(self.answers.get(), 10)
            self.w.reconciler.measured(run, question.gate.title, measurement)
        await self.w.run(1)
        await self.w.settle()

    def asker(self):
        return Asker(lambda question, measurement: self.answers.put_nowait((question, measurement)))


def asking(policy, gate):
    steps = "[{weight: 10%, hold: 3s}, {weight: 50%, hold: 1h}]"
    text = policy(steps=steps)
    return text.replace("gates: [error_rate, {guard: {error_rate: 20%}}]",
                        f"gates: [error_rate, {gate}]")  # fmt: skip


async def test_a_query_to_a_real_prometheus_lets_it_on_and_takes_it_back(
    world, policy, site, prometheus
):
    query = 'gpu_memory_ratio{version="v2"}'
    gate = (
        f"{{prometheus: {{url: '{prometheus}', query: '{query}', at_most: 0.9, interval: 1s, "
        "failure_limit: 1}}"
    )
    w = await world(asking(policy, gate)).start()
    asked = Asked(w)
    async with asked.asker() as asker:
        for _ in range(5):
            await asked.look(asker)
        assert (w.rollout.phase, w.rollout.step) == (Phase.PROGRESSING, 1), "0.4 is within range"
        site.gpu_ratio = 0.97

        async def taken_back():
            await asked.look(asker)
            return w.rollout.phase is Phase.ROLLED_BACK

        await until(taken_back)
    assert w.rollout.reason.startswith("prometheus: measured 0.97; tolerated: at most 0.9; ")
    assert "limit 1" in w.rollout.reason
    assert w.weight == 0


async def test_a_query_without_data_holds_and_a_wrong_one_is_an_error(
    world, policy, site, prometheus
):
    for query, said in (("nothing_here", "without data"), ("sum(", "Prometheus answered 400")):
        gate = (
            f"{{prometheus: {{url: '{prometheus}', query: '{query}', at_most: 0.9, interval: 1s}}}}"
        )
        w = await world(asking(policy, gate)).start()
        asked = Asked(w)
        async with asked.asker() as asker:
            for _ in range(6):
                await asked.look(asker)
        judgement = w.reconciler.runs["r"].trial.judge.judgement()
        assert (w.rollout.phase, w.rollout.step) == (Phase.PROGRESSING, 0)
        assert said in judgement.sentence


@pytest.mark.parametrize(
    ("ask", "status", "comes_to"),
    [
        ("confirm", 200, (Phase.PROGRESSING, 1)),
        ("confirm", 403, (Phase.PROGRESSING, 0)),
        ("confirm", 503, (Phase.PROGRESSING, 0)),
        ("rollback", 404, (Phase.PROGRESSING, 1)),
        ("rollback", 200, (Phase.ROLLED_BACK, 0)),
    ],
)
async def test_a_real_hook_decides(world, policy, site, ask, status, comes_to):  # noqa: PLR0917 - fixtures
    site.hook_status = status
    gate = f"{{webhook: {{url: 'http://{site.address}/hook', ask: {ask}, interval: 1s}}}}"
    w = await world(asking(policy, gate)).start()
    asked = Asked(w)
    async with asked.asker() as asker:
        for _ in range(5):
            if w.rollout.phase is Phase.PROGRESSING:
                await asked.look(asker)
    assert (w.rollout.phase, w.rollout.step) == comes_to
    assert site.told
    assert all(told == {"candidate": "v2"} for told in site.told)
    if w.rollout.phase is Phase.ROLLED_BACK:
        assert "the hook said yes to 'roll back?'" in w.rollout.reason
