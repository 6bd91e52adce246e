"""Open WebUI's requests, as its source builds them: the list of models, a chat with usage, and the title of a chat.

The program itself is not installed, because it needs several GB. The requests follow its modules `routers/openai.py` and
`routers/tasks.py` of 2026, and were not recorded from a run.
"""

import json

import httpx
from checks import ANSWER, KEY, MODEL, QUESTION, URL, check, equal

http = httpx.Client(base_url=f"{URL}/v1", headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]


@check("models")
def _() -> None:
    found = http.get("/models").raise_for_status().json()["data"]
    assert MODEL in {model["id"] for model in found if not model["id"].startswith("text-embedding")}


@check("stream")
def _() -> None:
    body = {"stream": True, "model": MODEL, "messages": ASK, "temperature": 0.8, "stream_options": {"include_usage": True}}
    with http.stream("POST", "/chat/completions", json=body) as response:
        assert "text/event-stream" in response.raise_for_status().headers["Content-Type"]
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line) for line in lines[:-1]]
    pieces = [event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"]]
    equal(("".join(pieces), events[-1]["usage"]["total_tokens"], lines[-1]), (ANSWER, 15, "[DONE]"))


@check("title")
def _() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "### Task: a title"}], "stream": False, "max_completion_tokens": 1000}
    answer = http.post("/chat/completions", json=body).raise_for_status().json()
    equal(answer["choices"][0]["message"]["content"], "You said: ### Task: a title")


@check("errors")
def _() -> None:
    answer = http.post("/chat/completions", json={"model": "no-such-model", "messages": ASK, "stream": True})
    equal((answer.status_code, "no-such-model" in answer.json()["error"]["message"]), (404, True))
