"""A data-plane worker that really listens, applies tables and answers with its version's name.

Started like the real one. ``--deaf`` makes it never confirm a table, ``--mute`` never report.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket

from router.core.wire.counts import EndpointState
from router.core.wire.succession import amended
from router.link.messages import Amend, Applied, Drain, Hello, Publish, Report
from router.link.socket import open_link


def endpoints(table):
    """All of them answer."""
    return tuple(
        EndpointState(route.name, version.name, str(at), True, False, 0, 0, ready=True)
        for route in (table.routes if table else ())
        for version in route.versions
        for at in version.endpoints
    )


async def report(link, args, stop, state):
    while not (args.mute or stop.is_set()):
        link.send(Report(endpoints=endpoints(state["table"])))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--link-fd", type=int)
    parser.add_argument("--worker", type=int)
    parser.add_argument("--listen")
    parser.add_argument("--quotas-fd")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--mute", action="store_true")
    args = parser.parse_args()
    port = args.listen.removeprefix("fd:")
    state = {"table": None}
    stop = asyncio.Event()

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        entry = state["table"].routes[0]
        drawn = random.choices(entry.versions, entry.weights_bp)[0].name
        body = json.dumps({"version": drawn, "pid": os.getpid()})
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = None

    def receive(message):
        if isinstance(message, Drain):
            stop.set()
        elif isinstance(message, Publish) and not args.deaf:
            state["table"] = message.table
            state["applying"] = asyncio.create_task(apply(message.table))
        elif isinstance(message, Amend) and not args.deaf:
            assert message.base == state["table"].generation
            state["table"] = amended(state["table"], message.generation, message.routes)
            link.send(Applied(message.generation, message.term))

    async def apply(table):
        nonlocal server
        if server is None:
            server = await asyncio.start_server(answer, sock=sock)
        link.send(Applied(table.generation, table.term))

    def lost(_reason):
        asyncio.get_running_loop().call_later(float(os.environ.get("GRACE_S", "10")), stop.set)

    sock = socket.socket(fileno=int(port))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    link = await open_link(args.link_fd, receive, lost)
    link.send(Hello(sock.getsockname()[1]))
    await report(link, args, stop, state)
    await stop.wait()
    if server is not None:
        server.close()


asyncio.run(main())
