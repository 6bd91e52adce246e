"""A turn on the terminal: answer text and cited sources on stdout, notes about its steps dim on stderr."""

import json
import re
from collections.abc import Iterable, Sequence

import click

from cli.api import TurnEvent
from cli.chat.answer_output import AnswerOutput, make_output
from cli.document_api import title_and_page
from cli.errors import CliError, TurnUnfinished, error_from_answer
from cli.json_fields import Fields
from cli.output import dollars, one_line, shortened

# A number in brackets is not a citation if it is inside code or is the text of a Markdown link.
_CODE_SPAN = re.compile(r"^ *(```|~~~).*?(?:^ *\1|\Z)|(`+).*?\2", re.DOTALL | re.MULTILINE)
_CITATION = re.compile(r"(?<!\\)\[ *([0-9]{1,4}(?: *, *[0-9]{1,4})*) *\](?![(:])")


def cited_sources(text: str, sources: Iterable[Fields]) -> list[str]:
    """Return one line per source that the text cites, in order of their numbers: `[1] Handbook, page 3: Leave is 30 days.`"""
    numbers = {int(number) for match in _CITATION.finditer(_CODE_SPAN.sub("", text)) for number in match[1].split(",")}
    by_number = {int(source.number("number") or 0): source for source in sources}
    return [f"[{number}] {_source_line(by_number[number])}" for number in sorted(numbers & by_number.keys())]


def _source_line(source: Fields) -> str:
    snippet = shortened(source.text("snippet"), characters=160)
    return f"{title_and_page(source)}: {snippet}" if snippet else title_and_page(source)


class TurnView:
    """Shows a turn's events one by one. Unknown events are ignored. With `is_quiet`, only the answer is shown."""

    def __init__(self, url: str, *, output: AnswerOutput | None = None, is_quiet: bool = False) -> None:
        self.conversation_id = ""
        self.message_id = ""
        self._pending_calls: list[Fields] = []
        self._text = ""
        self._sources: list[Fields] = []
        self._memories: list[str] = []
        self._url = url
        self._output = output or make_output()
        self._is_quiet = is_quiet
        if not is_quiet:
            self._output.wait()

    def show(self, event: TurnEvent) -> None:
        """Show one event. Raises `CliError` if the turn ends without a complete answer."""
        fields = event.fields
        if event.name != "memory":
            self._show_memories()
        match event.name:
            case "turn.started":
                self.conversation_id = fields.text("conversation_id")
            case "text.delta":
                self._text += fields.text("text")
                self._output.write(fields.text("text"))
            case "source":
                self._sources.append(fields)
            case "memory":
                self._memories.append(fields.text("text"))
            case "tool.call" | "tool.result":
                self._note(step_note(event))
                self._wait()
            case "tool.approval" | "tool.question":
                self._pending_calls.append(fields)
            case "turn.waiting" if self._pending_calls:
                self.close()
            case "turn.completed":
                self.message_id = fields.text("message_id")
                self._show_cited()
                self._note(turn_summary(fields))
            case "turn.stopped":
                self._show_cited()
                self._note("stopped")
            case "turn.interrupted" | "turn.waiting" | "turn.failed":
                self.close()
                raise turn_error(event, url=self._url)

    def take_pending_calls(self) -> list[Fields]:
        """Return the tool calls that wait for approval and the questions that wait for answers, and clear the list."""
        pending, self._pending_calls = self._pending_calls, []
        return pending

    def close(self) -> None:
        """Finish the output. Further events can follow."""
        self._output.pause()

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return self._text

    def _wait(self) -> None:
        if not self._is_quiet:
            self._output.wait()

    def _show_memories(self) -> None:
        """Show the recalled memories on one line."""
        if self._memories:
            self._note(memories_note(self._memories))
            self._memories.clear()
            self._wait()

    def _show_cited(self) -> None:
        """Print the cited sources below the answer, so that the reader can look up its citation numbers."""
        self.close()
        if not self._is_quiet and (lines := cited_sources(self._text, self._sources)):
            click.echo("\n" + "\n".join(lines))

    def _note(self, text: str) -> None:
        if not self._is_quiet:
            self._output.note(text)


def memories_note(memories: Sequence[str]) -> str:
    """Return the recalled memories on one line: `remembered 2 things: I live in Lyon. · I am allergic to nuts.`"""
    count = "1 thing" if len(memories) == 1 else f"{len(memories)} things"
    return shortened(f"remembered {count}: {' · '.join(map(one_line, memories))}", characters=120)


def step_note(event: TurnEvent) -> str:
    """Return a one-line summary of a tool call or tool result."""
    fields = event.fields
    match event.name:
        case "tool.call":
            arguments = json.dumps(fields.get("arguments"), ensure_ascii=False)
            return f"→ {fields.text('name')} {shortened(arguments, characters=100)}"
        case _:
            mark = "←" if fields.get("ok", True) else "✗"
            return f"{mark} {fields.text('name')}: {shortened(_result_text(fields), characters=100)}"


def turn_summary(fields: Fields) -> str:
    """Return model, tokens, cost and times of a completed turn; unknown values are left out."""
    usage, timings = fields.part("usage"), fields.part("timings")
    tokens = f"{usage.number('input_tokens') or 0:.0f} in / {usage.number('output_tokens') or 0:.0f} out" if usage else ""
    cost, first_ms, total_ms = usage.number("cost_usd"), timings.number("first_token_ms"), timings.number("total_ms")
    costs = "" if cost is None else dollars(cost)
    first = "" if first_ms is None else f"first token {first_ms:.0f} ms"
    total = "" if total_ms is None else f"{total_ms / 1000:.1f} s"
    return " · ".join(part for part in (fields.text("model"), tokens, costs, first, total) if part)


def turn_error(event: TurnEvent, *, url: str) -> CliError:
    """Return the error for a turn that ended without a complete answer."""
    fields = event.fields
    if event.name == "turn.interrupted":
        return TurnUnfinished("The answer was interrupted; its beginning is stored. Ask again, or read it: parley history")
    if event.name == "turn.waiting":
        return TurnUnfinished(
            "The answer is waiting for your approval of a tool, or your answer. A new message in this conversation denies it."
        )
    reason = fields.text("detail") or fields.text("title") or "The model could not answer."
    return error_from_answer(Fields(fields | {"detail": reason}), url=url, headers={}, status=int(fields.number("status") or 500))


def _result_text(fields: Fields) -> str:
    content = fields.get("content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
