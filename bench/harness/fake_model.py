"""A fake OpenAI chat server that answers 20 tokens (" tok0" … " tok19") without delay, or as many as asked at a model's pace.

    python -m bench.harness.fake_model --port 9000 --tokens 300 --per-second 60

It accepts any POST; the body's `stream` selects a stream or a JSON document. Streams of the model `paced` have a pause of
20 ms before each chunk, and streams of the model `slow` a pause of a second.
"""

import argparse
import asyncio
import json

import uvicorn

from local.gateway.asgi import AsgiMessage, Receive, Send

PAUSE_S = {"paced": 0.02, "slow": 1.0}
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "fake"}


def _chunk(delta: dict[str, str], *, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = _HEAD | {"object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class FakeModel:
    """The server as an ASGI app. `per_second` is the pace of a stream's tokens; None means without delay."""

    def __init__(self, *, tokens: int = 20, per_second: float | None = None) -> None:
        words = [f" tok{number}" for number in range(tokens)]
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
        choices = [{"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop", "logprobs": None}]
        self.whole = json.dumps(_HEAD | {"object": "chat.completion", "choices": choices, "usage": usage}).encode()
        last = _chunk({}, finish="stop") + _chunk({}, usage=usage) + b"data: [DONE]\n\n"
        self.chunks = [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": word}) for word in words), last]
        self._pause_s = 1 / per_second if per_second else 0.0

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        """Serve a request."""
        request = json.loads(await _body(receive)) if scope["method"] == "POST" else {}
        if request.get("stream"):
            await _start(send, b"text/event-stream")
            pause_s = PAUSE_S.get(str(request.get("model")), self._pause_s)
            for chunk in self.chunks:
                if pause_s:
                    await asyncio.sleep(pause_s)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        else:
            await _start(send, b"application/json", (b"content-length", str(len(self.whole)).encode()))
            await send({"type": "http.response.body", "body": self.whole})


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
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--per-second", type=float, help="pace of a stream's tokens (default: without delay)")
    args = parser.parse_args()
    app = FakeModel(tokens=args.tokens, per_second=args.per_second)
    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
