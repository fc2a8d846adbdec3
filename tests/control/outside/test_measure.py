from __future__ import annotations

import asyncio
import math
import socket
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from router.control.outside.measure import Asker, Inquiry, headers_of, parsed
from router.control.outside.outside import guarded_socket, outside_session
from router.core.gates.prometheus import Prometheus
from router.core.gates.webhook import Webhook
from tests.waiting import for_ever


def vector(*values):
    series = ",".join(f'{{"metric":{{}},"value":[1,"{v}"]}}' for v in values)
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}'.encode()


def test_answers_of_prometheus_are_read():
    assert parsed(vector("0.5", "2")).values == (0.5, 2.0)
    assert parsed(vector()).values == ()
    assert math.isnan(parsed(vector("NaN")).values[0])
    scalar = b'{"status":"success","data":{"resultType":"scalar","result":[1,"3.5"]}}'
    assert parsed(scalar).values == (3.5,)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b'{"status":"error","error":"bad query"}', vector("abc"),
        b'{"status":"success","data":{"resultType":"matrix","result":[]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{}]}}',
    ],
)  # fmt: skip
def test_anything_else_is_an_error_and_never_a_value(body):
    measurement = parsed(body)
    assert measurement.error
    assert measurement.values == ()


@pytest.fixture
async def site():
    seen = []
    app = web.Application()

    async def query(request):
        seen.append(request.query["query"])
        return web.Response(body=vector("0.97"))

    async def hook(request):
        seen.append(await request.json())
        if "Authorization" in request.headers:
            seen.append(request.headers["Authorization"])
        return web.Response(status=int(request.match_info["status"]))

    async def pieces(request):
        whole = (await query(request)).body
        answer = web.StreamResponse(headers={"Content-Length": str(len(whole))})
        await answer.prepare(request)
        await answer.write(whole[:10])
        await asyncio.sleep(0.05)  # so that the asker has read the first piece, if it reads pieces
        await answer.write(whole[10:])
        return answer

    async def hang(_request):
        await for_ever()

    async def redirect(_request):
        raise web.HTTPFound("/hook/200")

    app.add_routes([
        web.get("/api/v1/query", query), web.get("/pieces/api/v1/query", pieces),
        web.post("/hook/{status}", hook),
        web.post("/hang", hang), web.post("/redirect", redirect),
    ])  # fmt: skip
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}", seen
    await runner.cleanup()


async def ask(gate):
    answers: asyncio.Queue = asyncio.Queue()
    async with Asker(lambda _q, m: answers.put_nowait(m)) as asker:
        question = Inquiry("r", gate, {"candidate": "v2"})
        asker.ask(question)
        asker.ask(question)  # one at a time
        assert repr(asker) == "<Asker 1 questions under way>"
        return await asyncio.wait_for(answers.get(), 10)


async def test_a_query_goes_out_and_its_value_comes_back(site):
    url, seen = site
    assert (await ask(Prometheus(url=url, query='up{a="b"}', at_least=0.9))).values == (0.97,)
    assert seen == ['up{a="b"}']


async def test_an_answer_in_pieces_is_read_whole(site):
    url, _ = site
    measurement = await ask(Prometheus(url=f"{url}/pieces", query="up", at_least=0.9))
    assert measurement.values == (0.97,), measurement.error


@pytest.mark.parametrize(("status", "values"), [(200, (1.0,)), (204, (1.0,)), (403, (0.0,))])
async def test_a_hook_says_yes_or_no_and_is_told_about_the_rollout(site, status, values):
    url, seen = site
    assert (await ask(Webhook(url=f"{url}/hook/{status}"))).values == values
    assert seen == [{"candidate": "v2"}]


@pytest.mark.parametrize("path", ["/hook/500", "/hook/429", "/hang"])
async def test_a_hook_that_fails_is_an_error(site, path):
    url, _ = site
    measurement = await ask(Webhook(url=url + path, timeout="200ms"))
    assert measurement.error
    assert measurement.values == ()


async def test_a_redirect_is_not_followed(site):
    url, seen = site
    assert (await ask(Webhook(url=f"{url}/redirect"))).values == (0.0,)
    assert seen == []


async def test_nobody_there_is_an_error():
    assert "Connect" in (await ask(Webhook(url="http://127.0.0.1:9", timeout="1s"))).error


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "100.100.100.200", "0.0.0.0"],
)
def test_the_last_look_before_a_connection_is_at_the_address(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(PermissionError, match="must not be called"):
        guarded_socket((family, socket.SOCK_STREAM, 6, "", (address, 80)))


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"])
async def test_a_literal_address_is_refused_by_the_connector(host):
    """aiohttp resolves no literals, so the guarded resolver never sees them."""
    async with outside_session() as session:
        with pytest.raises(aiohttp.ClientConnectorError, match="must not be called"):
            await session.get(f"http://{host}:80/latest/meta-data")


async def test_a_gate_that_was_kept_with_such_a_url_asks_nobody():
    kept = Webhook.model_construct(**(vars(Webhook(url="http://127.0.0.1:9"))
                                      | {"url": "http://169.254.169.254/"}))  # fmt: skip
    assert (await ask(kept)).error.startswith("ValueError: expected the address of a service")


async def test_credentials_go_in_header_fields_of_the_policy_of_the_moment(site):
    url, seen = site
    gate = Webhook(url=f"{url}/hook/200", headers={"Authorization": "Bearer hunter22"})
    stored = Webhook.model_validate(gate.model_dump(mode="json"))
    assert "hunter22" not in repr(gate) + str(gate.model_dump(mode="json"))
    route = SimpleNamespace(rollout=SimpleNamespace(gates=(gate,)))
    assert headers_of(route, stored) == {"Authorization": "Bearer hunter22"}
    assert headers_of(SimpleNamespace(rollout=None), stored) == {}
    elsewhere = Webhook(url=f"{url}/hook/204")
    assert headers_of(route, elsewhere) == {}
    answers: asyncio.Queue = asyncio.Queue()
    async with Asker(lambda _q, m: answers.put_nowait(m)) as asker:
        asker.ask(Inquiry("r", stored, {"candidate": "v2"}, headers_of(route, stored)))
        await asyncio.wait_for(answers.get(), 10)
    assert seen == [{"candidate": "v2"}, "Bearer hunter22"]
