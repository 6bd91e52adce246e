"""OpenAI's Responses API, for clients such as Codex that speak only this one.

`schemas` and `input_items` describe a request, and `tools` and `requests` convert it for the models. `completions.completion` calls
them, as for Chat Completions. `events` turns the answer into the events of a response, and `response` sends these, or only the
finished response. `background` runs a response that its client does not wait for, and sends stored ones again from their `pieces`.
`stored_responses` keeps a response for later requests, and `compaction` makes long conversations shorter.
"""
