"""A proxy of an aiohttp server and an httpx client: the other popular client in front."""

import random
import sys

import httpx
from aiohttp import web

port, stable, candidate = map(int, sys.argv[1:4])
VERSIONS = [f"http://127.0.0.1:{stable}", f"http://127.0.0.1:{candidate}"]
KEEP = {"content-type", "accept", "x-user-id", "user-agent"}


async def handler(request):
    base = random.choices(VERSIONS, weights=[95, 5])[0]
    headers = {k: v for k, v in request.headers.items() if k.lower() in KEEP}
    response = await request.app["client"].request(
        request.method, base + request.path_qs, headers=headers, content=await request.read()
    )
    kind = response.headers.get("content-type", "application/octet-stream")
    return web.Response(
        body=response.content, status=response.status_code, headers={"content-type": kind}
    )


async def client(app):
    limits = httpx.Limits(max_connections=1024, max_keepalive_connections=1024)
    app["client"] = httpx.AsyncClient(limits=limits)
    yield
    await app["client"].aclose()


app = web.Application(client_max_size=1 << 30)
app.router.add_route("*", "/{tail:.*}", handler)
app.cleanup_ctx.append(client)
web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)
