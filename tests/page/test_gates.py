"""Every gate on the page: its name, its verdict, what it has seen. A new kind comes by itself."""

import pytest

from router.core.gates import GATES
from tests.live.gates import CASES
from tests.page.stage import BROWSER, browser, open_page, router

pytestmark = [pytest.mark.page, pytest.mark.skipif(not BROWSER, reason="no chromium installed")]
pytest.importorskip("playwright")

ROUTE = """\
  - name: all
    match: {path: /all}
    payload: open_inference_v2
    predictions: {label: y, score: y, range: [0, 1], sample: 100%, features: [x]}
    metrics: /metrics
    log: {}
    feeds: [fed]
    versions:
      v1: {endpoints: ["<v1>"], price: {per_request: 0.001}}
      v2: {endpoints: ["<v2>"], price: {per_request: 0.001}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 50%, mirror: 20%, hold: 1h}], bake: 1h}}
      gates:
"""
FED = """\
  - name: fed
    match: {path: /fed}
    payload: json
    predictions: {score: y}
    versions: {v1: {endpoints: ["<v1>"]}}
    stable: v1
"""
HELD = {
    "resources": "resources: {queue: 10}", "cost": "cost: {per_request: 1}",
    "cascade": "cascade: {ask: [errors]}", "judge": "judge: {url: <outside>/judge}",
}  # fmt: skip
"""Those that other modules than :mod:`tests.live.gates` play."""
GATE = """(name) => {
    const row = [...document.querySelectorAll('ul.gates li')]
        .find((one) => one.querySelector('strong').textContent === name);
    return row && [row.querySelector('.head').textContent, row.querySelector('p').textContent];
}"""


def written(kind):
    """A gate as a policy has it; nobody is outside, so who asks there cannot answer."""
    played = [case.gate for case in CASES.values() if case.kind == kind]
    text = HELD.get(kind) or played[0]
    return f"        - {text}\n".replace("<outside>", "http://127.0.0.1:9")


async def test_every_gate_has_its_place_on_the_page(tmp_path):
    text = ROUTE + "".join(map(written, GATES)) + FED
    async with router(tmp_path, text, per_s=120, paths=("/all",)) as lab, browser() as b:
        await lab.until("progressing", "all")
        page = await open_page(b, lab, "#/route/all")
        said = {one["gate"]: one for one in (await lab.status("all"))["gates"]}
        for kind in GATES:
            await page.wait_for_function(f"(name) => ({GATE})(name)?.[1]", arg=kind)
            head, sentence = await page.evaluate(GATE, kind)
            assert said[kind]["verdict"] in {"pass", "fail", "pending", "error"}
            assert head.strip() != kind, f"{kind} is shown without its verdict"
            assert sentence.strip(), kind
        assert page.said == []
