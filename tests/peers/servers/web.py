"""FastAPI: the protocol V1, free JSON with what differs each time, and OpenAI's chats. VARIANT c is
another model; GZIP packs the answers."""

import json
import math
import os

from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, StreamingResponse

app = FastAPI()
if os.environ.get("GZIP"):
    app.add_middleware(GZipMiddleware, minimum_size=10)
OTHER = os.environ.get("VARIANT") == "c"
SLOPE = 1.3 if OTHER else 1.0
WORDS = ["The", " flight", " is", " early" if OTHER else " late"]


def score(row):
    return 1 / (1 + math.exp(-SLOPE * sum(row) + 2))


@app.get("/ready")
def ready():
    return {"ok": True}


@app.post("/v1/models/m:predict")
async def predict(request: Request):
    document = await request.json()
    if "instances" not in document:
        return JSONResponse({"error": "KeyError: 'instances'"}, 500)
    return {"predictions": [[1 - score(row), score(row)] for row in document["instances"]]}


@app.post("/predict")
async def free(request: Request):
    p = score((await request.json())["features"])
    return {
        "request_id": os.urandom(8).hex(), "label": "late" if p > 0.5 else "on_time", "score": p,
        "took_ms": int.from_bytes(os.urandom(1), "big") / 10,
        "model": {"name": "m", "version": os.environ.get("VARIANT")},
    }  # fmt: skip


@app.post("/v1/chat/completions")
async def chat(request: Request):
    document = await request.json()
    if "messages" not in document:
        return JSONResponse({"error": {"message": "messages is missing"}}, 400)
    number = os.urandom(6).hex()
    if not document.get("stream"):
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [choice]}  # fmt: skip
    return StreamingResponse(_events(number), media_type="text/event-stream")


def _events(number):
    """As servers write them: a comment first, an event over two lines now and then."""
    yield ": PROCESSING\n\n"
    for at, word in enumerate([*WORDS, None]):
        choice = {"index": 0, "delta": {"content": word} if word else {},
                  "finish_reason": None if word else "stop"}  # fmt: skip
        chunk = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1,
                 "model": "m", "choices": [choice]}  # fmt: skip
        text = json.dumps(chunk, indent=1 if at == 1 else None)
        yield "".join(f"data: {line}\n" for line in text.split("\n")) + "\n"
    yield "data: [DONE]\n\n"
