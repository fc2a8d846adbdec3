"""The aiohttp proxy most people would write: server and client session, buffered."""

import random
import sys

import aiohttp
from aiohttp import web

port, stable, candidate = map(int, sys.argv[1:4])
VERSIONS = [f"http://127.0.0.1:{stable}", f"http://127.0.0.1:{candidate}"]
HOP_BY_HOP = {
    "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host",
    "content-length",
}  # fmt: skip


async def handler(request):
    base = random.choices(VERSIONS, weights=[95, 5])[0]
    headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
    async with request.app["client"].request(
        request.method, base + request.path_qs, headers=headers, data=await request.read(),
        allow_redirects=False,
    ) as response:  # fmt: skip
        body = await response.read()
        headers = {k: v for k, v in response.headers.items() if k.lower() not in HOP_BY_HOP}
        return web.Response(body=body, status=response.status, headers=headers)


async def client(app):
    connector = aiohttp.TCPConnector(limit=0)
    app["client"] = aiohttp.ClientSession(connector=connector, auto_decompress=False)
    yield
    await app["client"].close()


app = web.Application(client_max_size=1 << 30)
app.router.add_route("*", "/{tail:.*}", handler)
app.cleanup_ctx.append(client)
web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)
