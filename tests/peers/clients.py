"""The same questions asked by real clients, of a server and through the router.

    python clients.py KIND DIRECT_PORT ROUTER_PORT

Prints a JSON line for each: its name, both answers, or why it cannot be asked.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
KIND, DIRECT, ROUTER = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ROW = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [[5.1, 3.5, 1.4, 0.2]]}
BODY = json.dumps({"id": "q", "inputs": [ROW]})
JSON = {"content-type": "application/json"}
PATH = "/v2/models/iris/infer"
CHAT = [{"role": "user", "content": "hi"}]


def url(port):
    return f"http://127.0.0.1:{port}{PATH}"


def curl(*options):
    def ask(port):
        command = ["curl", "-sS", "-m", "20", *options, "-H", "content-type: application/json",
                   "-d", BODY, "-w", " %{http_code}", url(port)]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return ask


def with_httpx(**options):
    def ask(port):
        import httpx

        with httpx.Client(**options) as client:
            answer = client.post(url(port), content=BODY, headers=JSON)
            return [answer.status_code, answer.http_version, answer.text]

    return ask


def with_requests(port, body=BODY):
    import requests

    answer = requests.post(url(port), data=body, headers=JSON, timeout=20)
    return [answer.status_code, answer.text]


def in_chunks(port):
    return with_requests(port, (piece.encode() for piece in (BODY[:20], BODY[20:])))


def with_aiohttp(port):
    import aiohttp

    async def one(session):
        async with session.post(url(port), data=BODY, headers=JSON) as answer:
            return [answer.status, await answer.text()]

    async def many():
        async with aiohttp.ClientSession() as session:
            return await asyncio.gather(*(one(session) for _ in range(20)))

    return asyncio.run(many())


def with_node(port):
    code = """
      const [url, body] = process.argv.slice(1);
      const stream = new ReadableStream({start(c) {
        c.enqueue(new TextEncoder().encode(body)); c.close(); }});
      for (const b of [body, stream]) {
        const r = await fetch(url, {method: "POST", body: b, duplex: "half",
                                    headers: {"content-type": "application/json"}});
        console.log(r.status + await r.text()); }"""
    command = ["node", "--input-type=module", "-e", code, url(port), BODY]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def with_java(*versions):
    """HTTP_2, its default, offers h2c on every call."""
    return lambda port: _java(port, versions)


def _java(port, versions):
    code = """
      import java.net.*; import java.net.http.*;
      public class C { public static void main(String[] a) throws Exception {
        for (int k = 2; k < a.length; k++) {
          HttpClient c = HttpClient.newBuilder().version(HttpClient.Version.valueOf(a[k])).build();
          for (int i = 0; i < 2; i++) { var r = c.send(HttpRequest.newBuilder(URI.create(a[0]))
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(a[1])).build(),
            HttpResponse.BodyHandlers.ofString());
          System.out.println(r.statusCode() + r.body()); } } } }"""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "C.java")
        source.write_text(code)
        command = ["java", str(source), url(port), BODY, *versions]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def with_triton(binary_in, binary_out, sent=None, wanted=None):
    def ask(port):
        import numpy as np
        import tritonclient.http as triton

        client = triton.InferenceServerClient(f"127.0.0.1:{port}")
        given = triton.InferInput("x", [2, 4], "FP64")
        rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.7, 1.5]])
        given.set_data_from_numpy(rows, binary_data=binary_in)
        outputs = [triton.InferRequestedOutput(name, binary_data=binary_out)
                   for name in ("predict", "predict_proba")]  # fmt: skip
        try:
            answer = client.infer(
                "iris", [given], outputs=outputs, request_id="q",
                request_compression_algorithm=sent, response_compression_algorithm=wanted,
            )  # fmt: skip
            return [answer.as_numpy("predict").tolist(), answer.as_numpy("predict_proba").tolist()]
        except triton.InferenceServerException as refused:  # what the server does not take
            return str(refused)
        finally:
            client.close()

    return ask


def triton_ready(port):
    import tritonclient.http as triton

    with contextlib.closing(triton.InferenceServerClient(f"127.0.0.1:{port}")) as client:
        return [client.is_server_live(), client.is_server_ready(), client.is_model_ready("iris")]


def with_kserve(binary):
    def ask(port):
        import numpy as np
        from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

        async def call():
            given = InferInput("x", [2, 3], "FP64")
            rows = np.array([[0.1, 0.2, 0.3], [2.0, 1.0, 0.5]])
            given.set_data_from_numpy(rows, binary_data=binary)
            wanted = {"binary_data_output": True} if binary else {}
            asked = InferRequest("m", [given], request_id="q", parameters=wanted)
            client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
            answer = await client.infer(f"http://127.0.0.1:{port}", asked, model_name="m")
            return [[out.name, out.as_numpy().tolist()] for out in answer.outputs]

        return asyncio.run(call())

    return ask


def with_openai(ask):
    def call(port):
        import openai

        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", max_retries=0)
        return ask(client.chat.completions)

    return call


def said(chats):
    return chats.create(model="m", messages=CHAT).choices[0].message.content


def streamed(chats):
    events = chats.create(model="m", messages=CHAT, stream=True)
    return [event.choices[0].delta.content for event in events if event.choices]


def left(chats):
    """The client goes after the first words; the next one is answered all the same."""
    events = chats.create(model="m", messages=CHAT, stream=True)
    next(iter(events))
    events.close()
    return said(chats)


# Of a pair the first asks the server itself: some lose the body of a request that offers h2c.
CLIENTS = {
    "mlserver": {
        "curl": curl(),
        "curl, HTTP/1.0": curl("--http1.0"),
        "curl, h2c offered": (curl(), curl("--http2")),
        "curl, Expect": curl("-H", "Expect: 100-continue"),
        "curl, chunked": curl("-H", "Transfer-Encoding: chunked"),
        "curl, compressed": curl("--compressed"),
        "httpx": with_httpx(),
        "httpx, http2=True": with_httpx(http2=True),
        "requests": with_requests,
        "requests, chunked": in_chunks,
        "aiohttp, 20 at once": with_aiohttp,
        "node fetch": with_node,
        "Java HttpClient": (with_java("HTTP_1_1", "HTTP_1_1"), with_java("HTTP_1_1", "HTTP_2")),
        "tritonclient, readiness": triton_ready,
        **{
            f"tritonclient {options}": with_triton(*options)
            for options in ((False, False), (True, False), (False, True), (True, True),
                            (False, False, "gzip"), (False, False, "deflate"),
                            (False, False, None, "gzip"), (False, False, None, "deflate"),
                            (True, True, "gzip", "gzip"))
        },
    },
    "kserve-v2-binary": {
        "KServe's client": with_kserve(False), "KServe's client, binary": with_kserve(True),
    },
    "openai-compatible": {
        "openai": with_openai(said), "openai, streamed": with_openai(streamed),
        "openai, leaving": with_openai(left),
    },
}  # fmt: skip


def main():
    for name, ask in CLIENTS[KIND].items():
        program = name.split(",")[0].split()[0].lower()
        found = {"name": name, "missing": "", "direct": None, "routed": None}
        if program in ("curl", "node", "java") and not shutil.which(program):
            found["missing"] = f"{program} is not installed"
        else:
            try:
                direct, routed = ask if isinstance(ask, tuple) else (ask, ask)
                found["direct"], found["routed"] = direct(DIRECT), routed(ROUTER)
            except ModuleNotFoundError as error:
                found["missing"] = str(error)
            except subprocess.CalledProcessError as error:
                found["missing"] = f"{program}: {error.stderr[-300:]}"
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
