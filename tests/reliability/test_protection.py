"""What protects a model, from the policy to the wire, with the router as processes."""

from __future__ import annotations

import http.client

import pytest

from tests.reliability.whole import BODY, PREDICT, Site, until


@pytest.fixture(scope="module")
def protected(tmp_path_factory, both):
    made = Site(tmp_path_factory.mktemp("protected"), both)
    yield made
    made.end()


def ask(life, *, key, body=BODY, headers=()):
    """(status, fields, body) on a connection of its own, so that the kernel picks the worker."""
    connection = http.client.HTTPConnection(life.host, life.port, timeout=30)
    try:
        fields = {"Content-Type": "application/json", "X-Api-Key": key, **dict(headers)}
        connection.request("POST", PREDICT, body, fields)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def metric(life, name):
    text = life.api("/metrics")[1]
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(name)
    }


ROUTE = """
    quota: {{by: {{header: X-Api-Key}}, rate: 1/h, burst: {burst}}}
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}], bake: 1h}}}}
"""


def test_a_quota_of_a_policy_holds_over_workers_and_is_no_evidence(protected):
    protected.write(rollout=ROUTE.format(burst=100), workers=3)
    life = protected.start()
    got = [ask(life, key="a") for _ in range(160)]
    statuses = [status for status, _, _ in got]
    assert statuses == [200] * 100 + [429] * 60
    assert 3_500 < int(got[-1][1]["Retry-After"]) <= 3_600
    assert ask(life, key="b")[0] == 200
    name = 'rampway_quota_refused_total{route="flights"}'
    until(lambda: metric(life, "rampway_quota").get(name) == 60, what="the count of refusals")
    answered = metric(life, "rampway_requests_total")
    assert sum(answered.values()) == 101
    assert not any('code_class="4xx"' in series for series in answered)

    protected.write(protected.file.read_text().replace("burst: 100", "burst: 130"))
    life.api("/api/v1/reload", "POST", {})
    assert [ask(life, key="a")[0] for _ in range(35)] == [200] * 30 + [429] * 5, "an edit counts"
    for pid in life.workers():
        import os
        import signal

        os.kill(pid, signal.SIGKILL)
    until(lambda: life.api("/readyz")[0] == 200 and len(life.workers()) == 3, what="new workers")
    assert ask(life, key="a")[0] == 429, "the count outlives workers"
    life.end()
