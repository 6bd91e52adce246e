"""`parley chat`: one question, or a conversation when there is none on the command line."""

import sys
from pathlib import Path

import click

from cli.api import Api
from cli.attachments import attachments
from cli.consent import Consent, nobody
from cli.conversations import find, latest
from cli.dialogue import Dialogue
from cli.document import find_ids
from cli.fields import Fields
from cli.options import with_api_or_key
from cli.terminal import json_text

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("message", required=False)
@click.option("-c", "--continue", "goes_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--conversation", metavar="ID", help="Go on with this conversation; a short id will do.")
@click.option("--model", metavar="NAME", help="Ask this model (`parley models` lists them).")
@click.option("--image", "images", metavar="FILE", type=_FILE, multiple=True, help="Show the model this image; may be given often.")
@click.option("--documents", "from_all", is_flag=True, help="Answer from all your documents, and name the sources.")
@click.option("--document", "from_some", metavar="ID", multiple=True, help="Answer from this document; may be given often.")
@click.option("--schema", metavar="FILE", type=_FILE, help="Have the answer written as JSON by this JSON schema.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's whole answer as JSON, when it is complete.")
@click.option("--yes/--no", "word", default=None, help="Approve or deny every tool that needs it, and do not ask.")
@with_api_or_key
def chat(
    api: Api,
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
    question, attached = "" if talks else _question(message), attachments(images, schema)
    conversation_id = _conversation_id(api, goes_on=goes_on, given=conversation)
    documents = from_all or find_ids(api, from_some)
    dialogue = Dialogue(api, conversation_id=conversation_id, model=model, documents=documents, consent=Consent(word))
    if talks:
        _talk(dialogue)
    elif as_json:
        _print(dialogue.fetch(question, attached))
    else:
        dialogue.ask(question, attached)


def _print(answer: object) -> None:
    """Print the answer. Raises `Unfinished` for one that waits."""
    click.echo(json_text(answer))
    if asked := Fields.of(answer).parts("approvals"):
        raise nobody(asked[0])


def _question(message: str | None) -> str:
    """Return the message of the command line, else the one on standard input."""
    if message is None or message == "-":
        message = click.get_text_stream("stdin", encoding="utf-8", errors="replace").read()
    if not message.strip():
        raise click.UsageError("The message is empty.")
    return message


def _conversation_id(api: Api, *, goes_on: bool, given: str | None) -> str | None:
    if given:
        return find(api, given)
    return latest(api).text("id") if goes_on else None


def _talk(dialogue: Dialogue) -> None:
    from cli.repl import Repl

    Repl(dialogue).run()
