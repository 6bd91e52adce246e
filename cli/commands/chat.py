"""`parley chat` and `parley regenerate`: send one message with attachments, start an interactive chat, or answer again."""

import base64
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from cli.api import ApiClient
from cli.chat.answer_output import make_output
from cli.chat.conversation_client import ConversationClient, TurnOptions
from cli.chat.question import has_piped_input, read_question
from cli.chat.templates import read_template
from cli.chat.turn_view import TurnView
from cli.commands.conversations import latest_conversation
from cli.commands.library.projects import find_project
from cli.completion import complete_conversation, complete_model, complete_template
from cli.conversation_lookup import find_conversation_id
from cli.document_api import find_document_ids
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api_or_key
from cli.output import json_text, plain_text
from cli.terminal_input import ApprovalPrompt, approval_missing

_IMAGE_TYPES = {
    "image/png": re.compile(rb"\x89PNG"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}


def attachment_fields(images: Sequence[Path], schema: Path | None) -> dict[str, object]:
    """Return request fields for the images and the schema. Raises UsageError for a file of the wrong type."""
    fields: dict[str, object] = {"images": [_data_url(image) for image in images]} if images else {}
    return fields | ({"response_format": _response_format(schema)} if schema else {})


def _data_url(path: Path) -> str:
    content = path.read_bytes()
    for media_type, signature in _IMAGE_TYPES.items():
        if signature.match(content):
            return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    raise click.UsageError(f"{path} is not a PNG, JPEG, GIF or WebP image.")


def _response_format(path: Path) -> dict[str, object]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise click.UsageError(f"{path} is not valid JSON: {exc}") from exc
    if not isinstance(schema, dict):
        raise click.UsageError(f"{path} is not a JSON schema: it must be an object.")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


_FILE_TYPE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("message", required=False)
@click.option("-c", "--continue", "continue_latest", is_flag=True, help="Continue the latest conversation.")
@click.option(
    "--conversation", "--cid", metavar="ID", shell_complete=complete_conversation, help="Continue this conversation; ID may be a short id."
)
@click.option("-a", "--assistant", metavar="NAME", help="Use this assistant, by name or id. To list them: parley assistants")
@click.option("-m", "--model", metavar="NAME", shell_complete=complete_model, help="Use this model. To list the models: parley models")
@click.option("-s", "--system", metavar="TEXT", help="Start a conversation with these instructions to the model.")
@click.option("--project", metavar="PROJECT", help="Start a conversation in this project, a name or an id.")
@click.option("-t", "--template", metavar="NAME", shell_complete=complete_template, help="Ask the question of this template.")
@click.option("--value", "values", metavar="NAME=TEXT", multiple=True, help="Set a $NAME of the template; can be repeated.")
@click.option("-f", "--file", "files", metavar="FILE", type=_FILE_TYPE, multiple=True, help="Add the text of this file; can be repeated.")
@click.option("--image", "images", metavar="FILE", type=_FILE_TYPE, multiple=True, help="Attach this image; can be repeated.")
@click.option("--documents", "all_documents", is_flag=True, help="Answer from all your documents and cite them.")
@click.option("--document", "document_ids", metavar="ID", multiple=True, help="Answer from this document and cite it; can be repeated.")
@click.option("--no-tools", is_flag=True, help="Answer without tools.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Randomness of the answer, from 0 to 2.")
@click.option("--incognito", is_flag=True, help="Start a conversation in which nothing is recalled or remembered.")
@click.option("--schema", metavar="FILE", type=_FILE_TYPE, help="Answer in JSON that follows this JSON schema.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's complete answer as JSON.")
@click.option("-x", "--extract", is_flag=True, help="Print only the answer's first code block, or the answer if it has none.")
@click.option("--raw", is_flag=True, help="Print the answer's Markdown as it is, in a terminal too.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the answer.")
@click.option("--yes/--no", "decision", default=None, help="Approve or deny every tool call without asking.")
@with_api_or_key
def chat(
    api: ApiClient,
    message: str | None,
    continue_latest: bool,
    conversation: str | None,
    assistant: str | None,
    model: str | None,
    system: str | None,
    project: str | None,
    template: str | None,
    values: tuple[str, ...],
    files: tuple[Path, ...],
    images: tuple[Path, ...],
    all_documents: bool,
    document_ids: tuple[str, ...],
    no_tools: bool,
    temperature: float | None,
    incognito: bool,
    schema: Path | None,
    as_json: bool,
    extract: bool,
    raw: bool,
    quiet: bool,
    decision: bool | None,
) -> None:
    """Send MESSAGE and stream the answer.

    What is piped into the command follows MESSAGE: git diff | parley chat "Review this". Without MESSAGE, or with `-`, it is the
    message. In a terminal, without MESSAGE, the command starts an interactive chat.
    """
    _refuse_contradictions(
        {"--continue": continue_latest, "--conversation": conversation, "--system": system, "--incognito": incognito},
        {"--continue": continue_latest, "--conversation": conversation, "--project": project},
        {"--documents": all_documents, "--document": document_ids},
        {"--json": as_json, "--extract": extract, "--raw": raw},
    )
    api.require_session()
    stored = read_template(template) if template else None
    is_interactive = not (message or stored or files or has_piped_input()) and sys.stdout.isatty()
    if is_interactive and (as_json or images or schema or extract):
        raise click.UsageError("--json, --extract, --image and --schema need a message.")
    question = "" if is_interactive else read_question(message, files=files, template=stored, values=_named_values(values))
    attachments = attachment_fields(images, schema)
    options = TurnOptions(
        model=model or (stored.model if stored else None),
        documents=all_documents or find_document_ids(api, document_ids),
        tools=not no_tools,
        temperature=temperature,
        incognito=incognito,
        assistant_id=_assistant_id(api, assistant) if assistant else None,
    )
    conversation_id = _conversation_id(api, continue_latest=continue_latest, given=conversation)
    instructions = system or (stored.system if stored else None)
    if conversation_id is None and (instructions or project):
        project_id = find_project(api, project).text("id") if project else None
        conversation_id = _start_conversation(api, instructions, project_id=project_id, is_incognito=incognito)
    client = ConversationClient(
        api,
        conversation_id=conversation_id,
        options=options,
        approval=ApprovalPrompt(decision),
        make_view=lambda url: TurnView(url, output=make_output(is_raw=raw), is_quiet=quiet),
    )
    if is_interactive:
        _run_repl(client)
    elif as_json:
        _print_answer(client.fetch(question, attachments))
    elif extract:
        _print_code_block(client.fetch(question, attachments))
    else:
        client.ask(question, attachments)


@click.command()
@click.argument("conversation", metavar="[ID]", required=False, shell_complete=complete_conversation)
@click.option("-m", "--model", metavar="NAME", shell_complete=complete_model, help="Use this model.")
@click.option("--raw", is_flag=True, help="Print the answer's Markdown as it is, in a terminal too.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the answer.")
@with_api_or_key
def regenerate(api: ApiClient, conversation: str | None, model: str | None, raw: bool, quiet: bool) -> None:
    """Answer the last question of a conversation again. The earlier answer is kept as a variant.

    ID may be a short id; the default is the latest conversation.
    """
    conversation_id = _conversation_id(api, continue_latest=not conversation, given=conversation)
    ConversationClient(
        api,
        conversation_id=conversation_id,
        options=TurnOptions(model=model),
        make_view=lambda url: TurnView(url, output=make_output(is_raw=raw), is_quiet=quiet),
    ).regenerate()


def _refuse_contradictions(*groups: Mapping[str, object]) -> None:
    """Raise UsageError if two options of a group are given."""
    for group in groups:
        given = [name for name, value in group.items() if value]
        allowed = given == ["--system", "--incognito"]
        if len(given) > 1 and not allowed:
            raise click.UsageError(f"{given[0]} and {given[1]} cannot be combined.")


def _assistant_id(api: ApiClient, given: str) -> str:
    from cli.assistants.assistant_api import find_assistant

    return find_assistant(api, given).text("id")


def _named_values(given: Sequence[str]) -> dict[str, str]:
    pairs = [value.partition("=") for value in given]
    if any(not separator for _, separator, _ in pairs):
        raise click.UsageError("--value must have the form NAME=TEXT.")
    return {name: text for name, _, text in pairs}


def _start_conversation(api: ApiClient, instructions: str | None, *, project_id: str | None, is_incognito: bool) -> str:
    given: dict[str, object] = {"system_prompt": instructions, "project_id": project_id, "incognito": is_incognito}
    body = {name: value for name, value in given.items() if value}
    return Fields.of(api.fetch(HttpCall("POST", "/conversations", body))).text("id")


def _print_answer(answer: object) -> None:
    """Print the answer as JSON. Raises `TurnUnfinished` if the turn waits for an approval."""
    click.echo(json_text(answer))
    if pending := Fields.of(answer).parts("approvals"):
        raise approval_missing(pending[0])


def _print_code_block(answer: object) -> None:
    """Print the first fenced code block of the answer, or the whole text if it has none."""
    if pending := Fields.of(answer).parts("approvals"):
        raise approval_missing(pending[0])
    text = Fields.of(answer).part("message").text("text")
    click.echo(plain_text(first_code_block(text) or text).removesuffix("\n"))


def first_code_block(text: str) -> str:
    """Return the content of the first fenced code block in a Markdown text, or an empty string."""
    from markdown_it import MarkdownIt

    return next((token.content for token in MarkdownIt().parse(text) if token.type == "fence"), "")


def _conversation_id(api: ApiClient, *, continue_latest: bool, given: str | None) -> str | None:
    if given:
        return find_conversation_id(api, given)
    return latest_conversation(api).text("id") if continue_latest else None


def _run_repl(client: ConversationClient) -> None:
    from cli.chat.repl import Repl

    Repl(client).run()
