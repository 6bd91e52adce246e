"""Converts the events of a completion to the events of a response, in OpenAI's order.

`response.created` and `response.in_progress` come first. Each output item is added, filled by deltas and done before the next one
begins, so the events of the completion must have their tool calls in sequence (`in_sequence`). The last event is
`response.completed`, `response.incomplete` or `response.failed`, and contains the whole response.
"""

from collections.abc import Set

from functions.chat.completions.completion import CompletionEvent, CompletionStream
from functions.chat.openai_api.errors import stream_error
from functions.chat.responses_api.free_form import free_form_input
from functions.chat.responses_api.open_items import OpenCall, OpenMessage, OpenReasoning
from functions.chat.responses_api.response_schemas import (
    IncompleteDetailsOut,
    ItemStatus,
    OutputItem,
    RequestEchoOut,
    ResponseErrorOut,
    ResponseOut,
    ResponseStatus,
    ResponseUsageOut,
    SummaryTextOut,
)
from functions.chat.turn.events import Ping
from parley.clock import utc_now
from parley.errors import ParleyError
from parley.llm.messages import Finished, ReasoningDelta, TextDelta, Thought, ToolCall, ToolCallDelta, Usage

type Event = dict[str, object]


def response_error(error: ParleyError) -> ResponseErrorOut:
    """Return an error as a failed response has it."""
    return ResponseErrorOut.model_validate(stream_error(error))


def end_type(response: ResponseOut) -> str:
    """Return the type of the event that ends a stream with this response.

    OpenAI has none for a cancelled response, and clients wait for one of the three.
    """
    return f"response.{'incomplete' if response.status == 'cancelled' else response.status}"


class ResponseEvents:
    """Converts the events of one completion; each method returns the next events. `response` is the response as of the last event.

    The ids of items follow from the response's id, so that a repeated request gets the same ids.
    """

    def __init__(self, completion: CompletionStream, echo: RequestEchoOut, *, free_form: Set[str]) -> None:
        """Prepare the events of `completion`. `free_form` names the functions that stand for free-form tools."""
        self._completion, self._echo, self._free_form = completion, dict(echo), free_form
        self._items: list[OutputItem] = []
        self._open: OpenMessage | OpenReasoning | OpenCall | None = None
        self._new: list[Event] = []
        self._count = 0
        self.response = self._document("in_progress")

    def begin(self) -> list[Event]:
        """Return the first events."""
        self.response = self._document("in_progress")
        for name in ("created", "in_progress"):
            self._emit(f"response.{name}", response=self.response.model_dump())
        return self._take()

    def add(self, event: CompletionEvent) -> list[Event]:
        """Return the events that follow from an event of the completion. A ping has none."""
        match event:
            case TextDelta(text, is_refusal):
                self._add_text(text, is_refusal=is_refusal)
            case ReasoningDelta(text):
                self._add_reasoning(text)
            case Thought():
                self._add_thought(event)
            case ToolCallDelta(_, id, name, arguments):
                self._add_arguments(id, name, arguments)
            case ToolCall():
                self._add_call(event)
            case Finished():
                self._finish(event)
            case Ping():
                pass
        return self._take()

    def fail(self, error: ResponseErrorOut) -> list[Event]:
        """Return the last events of a response that failed. Its output is what has arrived before."""
        return self._break_off("failed", error)

    def cancel(self) -> list[Event]:
        """Return the last events of a response that was cancelled. Its output is what has arrived before."""
        return self._break_off("cancelled", None)

    def end_as(self, response: ResponseOut) -> list[Event]:
        """Return the last events of a response that has ended with this document elsewhere."""
        self._close("completed" if response.status == "completed" else "incomplete")
        self._end(response)
        return self._take()

    def _break_off(self, status: ResponseStatus, error: ResponseErrorOut | None) -> list[Event]:
        self._close("incomplete")
        self._end(self._document(status, error=error))
        return self._take()

    def _finish(self, finished: Finished) -> None:
        """End the response. A refusal is a complete answer; text that the vendor filtered out is missing."""
        is_refusal = isinstance(self._open, OpenMessage) and self._open.is_refusal
        reasons = {"length": "max_output_tokens"} | ({} if is_refusal else {"content_filter": "content_filter"})
        if reason := reasons.get(finished.reason):
            self._close("incomplete")
            details = IncompleteDetailsOut.model_validate({"reason": reason})
            self._end(self._document("incomplete", details=details, usage=finished.usage))
        else:
            self._close("completed")
            self._end(self._document("completed", usage=finished.usage))

    def _end(self, response: ResponseOut) -> None:
        self.response = response
        self._emit(end_type(response), response=response.model_dump())

    def _document(
        self,
        status: ResponseStatus,
        *,
        error: ResponseErrorOut | None = None,
        details: IncompleteDetailsOut | None = None,
        usage: Usage | None = None,
    ) -> ResponseOut:
        return ResponseOut(
            **self._echo,
            id=self._completion.id,
            created_at=self._completion.created,
            completed_at=int(utc_now().timestamp()) if status == "completed" else None,
            status=status,
            error=error,
            incomplete_details=details,
            model=self._completion.model(),
            output=list(self._items),
            usage=ResponseUsageOut.of(usage) if usage else None,
        )

    def _add_text(self, text: str, *, is_refusal: bool) -> None:
        message = self._open
        if not isinstance(message, OpenMessage):
            self._close("completed")
            message = self._open = OpenMessage(self._new_id("msg"), is_refusal)
            self._emit_item("added", message.item("in_progress"))
            self._emit_part("added", message)
        elif message.is_refusal != is_refusal:
            self._close_part(message)
            message.is_refusal = is_refusal
            self._emit_part("added", message)
        message.texts.append(text)
        self._emit_text("delta", message, delta=text)

    def _close_part(self, message: OpenMessage) -> None:
        self._emit_text("done", message, **{"refusal" if message.is_refusal else "text": "".join(message.texts)})
        self._emit_part("done", message)
        message.parts.append(message.part)
        message.texts = []

    def _add_reasoning(self, text: str) -> None:
        reasoning = self._reasoning()
        if not reasoning.texts:
            self._emit_summary("part.added", reasoning, part=SummaryTextOut(text="").model_dump())
        reasoning.texts.append(text)
        self._emit_summary("text.delta", reasoning, delta=text)

    def _add_thought(self, thought: Thought) -> None:
        """End the reasoning before the thought, which is the same reasoning in the vendor's form."""
        self._reasoning().thought = thought
        self._close("completed")

    def _reasoning(self) -> OpenReasoning:
        """Return the open reasoning, or begin one."""
        if not isinstance(self._open, OpenReasoning):
            self._close("completed")
            self._open = OpenReasoning(self._new_id("rs"))
            self._emit_item("added", self._open.item())
        return self._open

    def _add_arguments(self, call_id: str, name: str, arguments: str) -> None:
        """Add a piece of a call's arguments. Those of a free-form tool are JSON with the text that the client gets."""
        call = self._call(call_id, name)
        self._add_call_text(call, call.decoder.feed(arguments) if call.is_free_form else arguments)

    def _add_call(self, whole: ToolCall) -> None:
        """End a call, of which pieces may have arrived before."""
        call = self._call(whole.id, whole.name)
        text = free_form_input(whole.arguments) if call.is_free_form else whole.arguments
        self._add_call_text(call, text[len(call.text) :])
        self._end_call(call, "completed")

    def _call(self, call_id: str, name: str) -> OpenCall:
        """Return the open call, or begin one."""
        if not isinstance(self._open, OpenCall) or self._open.call_id != call_id:
            self._close("completed")
            is_free_form = name in self._free_form
            self._open = OpenCall(self._new_id("ctc" if is_free_form else "fc"), call_id, name, is_free_form)
            self._emit_item("added", self._open.item("in_progress"))
        return self._open

    def _add_call_text(self, call: OpenCall, text: str) -> None:
        if text:
            call.texts.append(text)
            self._emit_call(call, "delta", delta=text)

    def _end_call(self, call: OpenCall, status: ItemStatus) -> None:
        self._emit_call(call, "done", **{"input" if call.is_free_form else "arguments": call.text})
        self._end_item(call.item(status))
        self._open = None

    def _emit_call(self, call: OpenCall, change: str, **fields: str) -> None:
        prefix = "response.custom_tool_call_input" if call.is_free_form else "response.function_call_arguments"
        self._emit(f"{prefix}.{change}", item_id=call.id, output_index=len(self._items), **fields)

    def _close(self, status: ItemStatus) -> None:
        """End the open item, if there is one. A call that its whole form did not end is incomplete."""
        match self._open:
            case OpenCall() as call:
                self._end_call(call, "incomplete")
            case OpenMessage() as message:
                self._close_part(message)
                self._end_item(message.item(status))
            case OpenReasoning(texts=texts) as reasoning:
                if texts:
                    self._emit_summary("text.done", reasoning, text="".join(texts))
                    self._emit_summary("part.done", reasoning, part=SummaryTextOut(text="".join(texts)).model_dump())
                self._end_item(reasoning.item())
        self._open = None

    def _end_item(self, item: OutputItem) -> None:
        self._emit_item("done", item)
        self._items.append(item)

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_{self._completion.id.removeprefix('resp_')}_{len(self._items)}"

    def _emit_item(self, change: str, item: OutputItem) -> None:
        self._emit(f"response.output_item.{change}", output_index=len(self._items), item=item.model_dump())

    def _emit_part(self, change: str, message: OpenMessage) -> None:
        self._emit(f"response.content_part.{change}", **self._part_place(message), part=message.part.model_dump())

    def _emit_text(self, change: str, message: OpenMessage, **fields: str) -> None:
        if message.is_refusal:
            self._emit(f"response.refusal.{change}", **self._part_place(message), **fields)
        else:
            self._emit(f"response.output_text.{change}", **self._part_place(message), **fields, logprobs=[])

    def _part_place(self, message: OpenMessage) -> Event:
        return {"item_id": message.id, "output_index": len(self._items), "content_index": len(message.parts)}

    def _emit_summary(self, change: str, reasoning: OpenReasoning, **fields: object) -> None:
        place = {"item_id": reasoning.id, "output_index": len(self._items), "summary_index": 0}
        self._emit(f"response.reasoning_summary_{change}", **place, **fields)

    def _emit(self, kind: str, **fields: object) -> None:
        self._new.append({"type": kind, "sequence_number": self._count} | fields)
        self._count += 1

    def _take(self) -> list[Event]:
        new, self._new = self._new, []
        return new
