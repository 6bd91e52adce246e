"""`parley chat`: send one message with attachments, or start an interactive chat."""

import base64
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from cli.api import ApiClient
from cli.commands.conversations import find_conversation_id, latest_conversation
from cli.conversation_client import ConversationClient
from cli.document_api import find_document_ids
from cli.json_fields import Fields
from cli.options import with_api_or_key
from cli.output import json_text
from cli.prompts import ApprovalPrompt, approval_missing

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
@click.option("--conversation", metavar="ID", help="Continue this conversation; ID may be a short id.")
@click.option("--model", metavar="NAME", help="Use this model. To list the models: parley models")
@click.option("--image", "images", metavar="FILE", type=_FILE_TYPE, multiple=True, help="Attach this image; can be repeated.")
@click.option("--documents", "all_documents", is_flag=True, help="Answer from all your documents and cite them.")
@click.option("--document", "document_ids", metavar="ID", multiple=True, help="Answer from this document and cite it; can be repeated.")
@click.option("--schema", metavar="FILE", type=_FILE_TYPE, help="Answer in JSON that follows this JSON schema.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's complete answer as JSON.")
@click.option("--yes/--no", "decision", default=None, help="Approve or deny every tool call without asking.")
@with_api_or_key
def chat(
    api: ApiClient,
    message: str | None,
    continue_latest: bool,
    conversation: str | None,
    model: str | None,
    images: tuple[Path, ...],
    all_documents: bool,
    document_ids: tuple[str, ...],
    schema: Path | None,
    as_json: bool,
    decision: bool | None,
) -> None:
    """Send MESSAGE and stream the answer.

    MESSAGE is read from standard input if it is `-`, or if it is missing and standard input is not a terminal.
    In a terminal, without MESSAGE, the command starts an interactive chat.
    """
    if continue_latest and conversation:
        raise click.UsageError("--continue and --conversation cannot be combined.")
    if all_documents and document_ids:
        raise click.UsageError("--documents and --document cannot be combined.")
    api.require_session()
    is_interactive = message is None and sys.stdin.isatty() and sys.stdout.isatty()
    if is_interactive and (as_json or images or schema):
        raise click.UsageError("--json, --image and --schema need a message.")
    question = "" if is_interactive else _read_question(message)
    attachments = attachment_fields(images, schema)
    conversation_id = _conversation_id(api, continue_latest=continue_latest, given=conversation)
    documents = all_documents or find_document_ids(api, document_ids)
    client = ConversationClient(api, conversation_id=conversation_id, model=model, documents=documents, approval=ApprovalPrompt(decision))
    if is_interactive:
        _run_repl(client)
    elif as_json:
        _print_answer(client.fetch(question, attachments))
    else:
        client.ask(question, attachments)


def _print_answer(answer: object) -> None:
    """Print the answer as JSON. Raises `TurnUnfinished` if the turn waits for an approval."""
    click.echo(json_text(answer))
    if pending := Fields.of(answer).parts("approvals"):
        raise approval_missing(pending[0])


def _read_question(message: str | None) -> str:
    """Return the message from the command line or standard input. Raises UsageError if it is empty."""
    if message is None or message == "-":
        message = click.get_text_stream("stdin", encoding="utf-8", errors="replace").read()
    if not message.strip():
        raise click.UsageError("The message must contain text.")
    return message


def _conversation_id(api: ApiClient, *, continue_latest: bool, given: str | None) -> str | None:
    if given:
        return find_conversation_id(api, given)
    return latest_conversation(api).text("id") if continue_latest else None


def _run_repl(client: ConversationClient) -> None:
    from cli.commands.repl import Repl

    Repl(client).run()
