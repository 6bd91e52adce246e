"""OpenAI's Responses API, for clients such as Codex that speak only this one.

`schemas` and `input_items` describe a request, and `tools` and `requests` convert it for the models. `openai_api.completions` calls
them, as for Chat Completions. `events` turns the answer into the events of a response, and `response` sends these, or only the
finished response. `stored_responses` keeps it for later requests, and `compaction` makes long conversations shorter.
"""
