"""One turn: a question, the tool loop and the stored answer.

`run` tells the story; the other modules are its steps, in this order:

    question, begin       store the question in the first transaction, and reserve the cost
    retrieval             add document chunks and the user's memory to the request
    tool_loop             call the model and run its tool calls, in rounds, until it calls no tool
    heartbeat             meanwhile: log events, notice a stop request, keep the deadline
    finish                store the answer, or a checkpoint, in the second transaction
    approvals             resume a turn from its checkpoint after the last decision

`state` is the turn in memory, `prompt` what the model sees, `tools` what it may call, and `events` what clients see. `replay`
serves the turn to other requests, from the log.
"""
