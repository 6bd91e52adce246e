"""One turn: a question, the tool loop and the stored answer.

`run` contains the whole sequence. These modules are its steps, in order:

    question, begin       store the question in the first transaction, and reserve the cost
    retrieval             add document chunks and the user's memory to the request
    tool_loop             call the model and run its tool calls, in rounds, until it calls no tool
    heartbeat             meanwhile: log events, notice stop requests, enforce the deadline
    run                   store the answer, or a checkpoint, in the second transaction
    approvals             resume a turn from its checkpoint after the last decision

`state` holds the turn in memory, `prompt` builds the request to the model, `tools` runs tool calls, and `events` defines the events
that clients see. `replay` serves the turn to other requests from its log.
"""
