"""Anthropic's Messages API, for clients such as Claude Code that speak only this one.

`schemas` and `blocks` describe a request, `requests` converts it for the models. The answer comes from `completions.completion`, as
that of Chat Completions does; `responses` sends it as the events of a message or as one message.
`models` lists the models in Anthropic's format, for requests of `GET /v1/models` with the header `anthropic-version`.
"""
