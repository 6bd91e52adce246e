"""`parley chat`: one question with its attachments, or a conversation when the command line has no question."""

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
    """Return the fields of the request. Raises UsageError for a file that is neither an image nor a JSON schema."""
    fields: dict[str, object] = {"images": [_data_url(image) for image in images]} if images else {}
    return fields | ({"response_format": _response_format(schema)} if schema else {})


def _data_url(path: Path) -> str:
    content = path.read_bytes()
    for media_type, beginning in _IMAGE_TYPES.items():
        if beginning.match(content):
            return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    raise click.UsageError(f"{path} is neither PNG, JPEG, GIF nor WebP.")


def _response_format(path: Path) -> dict[str, object]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise click.UsageError(f"{path} is no JSON: {exc}") from exc
    if not isinstance(schema, dict):
        raise click.UsageError(f"{path} is no JSON schema: that is an object.")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


_FILE_TYPE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("message", required=False)
@click.option("-c", "--continue", "goes_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--conversation", metavar="ID", help="Go on with this conversation; a short id will do.")
@click.option("--model", metavar="NAME", help="Ask this model (`parley models` lists them).")
@click.option("--image", "images", metavar="FILE", type=_FILE_TYPE, multiple=True, help="Show the model this image; may be given often.")
@click.option("--documents", "from_all", is_flag=True, help="Answer from all your documents, and name the sources.")
@click.option("--document", "from_some", metavar="ID", multiple=True, help="Answer from this document; may be given often.")
@click.option("--schema", metavar="FILE", type=_FILE_TYPE, help="Have the answer written as JSON by this JSON schema.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's whole answer as JSON, when it is complete.")
@click.option("--yes/--no", "word", default=None, help="Approve or deny every tool that needs it, and do not ask.")
@with_api_or_key
def chat(
    api: ApiClient,
    message: str | None,
    goes_on: bool,
    conversation: str | None,
    model: str | None,
    images: tuple[Path, ...],
    from_all: bool,
    from_some: tuple[str, ...],
    schema: Path | None,
    as_json: bool,
    word: bool | None,
) -> None:
    """Ask MESSAGE and watch the answer arrive.

    MESSAGE is read from standard input when it is `-`, or absent and standard input is no terminal.
    On a terminal without MESSAGE a conversation begins.
    """
    if goes_on and conversation:
        raise click.UsageError("--continue and --conversation exclude each other.")
    if from_all and from_some:
        raise click.UsageError("--documents and --document exclude each other.")
    api.require_session()
    talks = message is None and sys.stdin.isatty() and sys.stdout.isatty()
    if talks and (as_json or images or schema):
        raise click.UsageError("--json, --image and --schema need a message.")
    question, attached = "" if talks else _read_question(message), attachment_fields(images, schema)
    conversation_id = _conversation_id(api, goes_on=goes_on, given=conversation)
    documents = from_all or find_document_ids(api, from_some)
    client = ConversationClient(api, conversation_id=conversation_id, model=model, documents=documents, approval=ApprovalPrompt(word))
    if talks:
        _run_repl(client)
    elif as_json:
        _print_answer(client.fetch(question, attached))
    else:
        client.ask(question, attached)


def _print_answer(answer: object) -> None:
    """Print the answer. Raises `TurnUnfinished` for one that waits."""
    click.echo(json_text(answer))
    if pending := Fields.of(answer).parts("approvals"):
        raise approval_missing(pending[0])


def _read_question(message: str | None) -> str:
    """Return the message of the command line, else the one on standard input."""
    if message is None or message == "-":
        message = click.get_text_stream("stdin", encoding="utf-8", errors="replace").read()
    if not message.strip():
        raise click.UsageError("The message is empty.")
    return message


def _conversation_id(api: ApiClient, *, goes_on: bool, given: str | None) -> str | None:
    if given:
        return find_conversation_id(api, given)
    return latest_conversation(api).text("id") if goes_on else None


def _run_repl(client: ConversationClient) -> None:
    from cli.commands.repl import Repl

    Repl(client).run()
