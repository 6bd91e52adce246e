"""Stateless completions, which the APIs of OpenAI and Anthropic share.

`completion` calls the models, and `idempotent_completion` stores a whole answer for repeated requests. `answer_end` and
`call_sequence` shape the events for all APIs. `schemas`, `opaque_content` and `token_count` serve more than one of them.
"""
