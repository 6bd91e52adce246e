"""A minimal pass-through server for comparison: FastAPI and OpenAI's SDK, without accounts or a database.

UPSTREAM=http://127.0.0.1:9000/v1 python -m bench.turns.passthrough --port 9001
"""

import argparse
import os
from collections.abc import AsyncIterator
from typing import Any

import openai
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

client = openai.AsyncOpenAI(base_url=os.environ.get("UPSTREAM"), api_key="none", max_retries=0)
app = FastAPI(openapi_url=None)


class PassthroughRequest(BaseModel):
    """The fields of an OpenAI chat request that the server passes on."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool = False


@app.post("/v1/chat/completions")
async def chat(request: PassthroughRequest) -> Response:
    """Call the model and pass its response on."""
    messages: Any = request.messages
    if request.stream:
        chunks = await client.chat.completions.create(model=request.model, messages=messages, stream=True)
        return StreamingResponse(_events(chunks), media_type="text/event-stream")
    answer = await client.chat.completions.create(model=request.model, messages=messages)
    return Response(answer.model_dump_json(), media_type="application/json")


async def _events(chunks: Any) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield f"data: {chunk.model_dump_json()}\n\n"
    yield "data: [DONE]\n\n"


def main() -> None:
    """Serve on loopback until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning")


if __name__ == "__main__":
    main()
