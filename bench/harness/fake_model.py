"""A fake OpenAI chat server that answers 20 tokens (" tok0" … " tok19") without delay.

    python -m bench.harness.fake_model --port 9000

It accepts any POST; the body's `stream` selects a stream or a JSON document. Streams of the model `paced` have a pause of
20 ms before each chunk, and streams of the model `slow` a pause of a second.
"""

import argparse
import asyncio
import json

import uvicorn

from local.gateway.asgi import AsgiMessage, Receive, Send

TOKENS = [f" tok{number}" for number in range(20)]
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
PAUSE_S = {"paced": 0.02, "slow": 1.0}
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "fake"}
_MESSAGE = {"role": "assistant", "content": "".join(TOKENS)}
_CHOICES = [{"index": 0, "message": _MESSAGE, "finish_reason": "stop", "logprobs": None}]
WHOLE = json.dumps(_HEAD | {"object": "chat.completion", "choices": _CHOICES, "usage": USAGE}).encode()


def _chunk(delta: dict[str, str], *, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = _HEAD | {"object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


CHUNKS = [
    _chunk({"role": "assistant", "content": ""}),
    *(_chunk({"content": token}) for token in TOKENS),
    _chunk({}, finish="stop"),
    _chunk({}, usage=USAGE),
    b"data: [DONE]\n\n",
]


async def app(scope: AsgiMessage, receive: Receive, send: Send) -> None:
    """Serve a request as an ASGI app."""
    request = json.loads(await _body(receive)) if scope["method"] == "POST" else {}
    if request.get("stream"):
        await _start(send, b"text/event-stream")
        pause_s = PAUSE_S.get(str(request.get("model")))
        for chunk in CHUNKS:
            if pause_s:
                await asyncio.sleep(pause_s)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await _start(send, b"application/json", (b"content-length", str(len(WHOLE)).encode()))
        await send({"type": "http.response.body", "body": WHOLE})


async def _body(receive: Receive) -> bytes:
    body = b""
    has_more = True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    return body


async def _start(send: Send, content_type: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type), *headers]})


def main() -> None:
    """Serve on loopback until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
