"""One turn: a question, the tool loop and the stored answer.

`run` is the generator that tells the story. `begin` stores the question in the first transaction, and `retrieval` adds memory and
sources to the request. `tool_loop` then calls the model and its tools until the model asks for no more tools, while `heartbeat`
logs what came and watches the deadline. `run` stores the answer in the second transaction, or a checkpoint where a tool call needs
an approval: `approvals` resumes such a turn. `state` is the turn in memory, `events` what clients see of it, `prompt` what the
model sees, and `replay` reads the event log for everybody else.
"""
