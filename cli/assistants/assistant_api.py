"""Assistants over the API: find one by its name or id, and build the fields of its settings from the command line."""

from pathlib import Path
from urllib.parse import quote

import click

from cli.api import ApiClient
from cli.document_api import find_document_ids
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import all_items, find_by_name, full_id

ASSISTANTS_PATH = "/assistants"


def find_assistant(api: ApiClient, given: str) -> Fields:
    """Return the assistant with this name, or whose id is, starts or ends with `given`. Raises `CliError` if none or several match."""
    if assistant_id := full_id(given):
        return Fields.of(api.fetch(HttpCall("GET", assistant_path(assistant_id))))
    return find_by_name(list(all_items(api, ASSISTANTS_PATH)), given, noun="assistant", listed_by="parley assistants")


def assistant_path(assistant_id: str) -> str:
    """Return the path of an assistant."""
    return f"{ASSISTANTS_PATH}/{quote(assistant_id, safe='')}"


def setting_fields(
    api: ApiClient,
    *,
    instructions: str | None,
    instructions_file: Path | None,
    picture: str | None,
    description: str | None,
    model: str | None,
    tools: tuple[str, ...],
    no_tools: bool,
    documents: tuple[str, ...],
    all_documents: bool,
    no_memory: bool,
    starters: tuple[str, ...],
) -> dict[str, object]:
    """Return the fields of the settings that are given. Raises UsageError for two options that contradict each other."""
    if (instructions and instructions_file) or (tools and no_tools) or (documents and all_documents):
        raise click.UsageError(
            "--instructions and --instructions-file, --tool and --no-tools, --document and --documents exclude each other."
        )
    given: dict[str, object | None] = {
        "instructions": instructions_file.read_text(encoding="utf-8") if instructions_file else instructions,
        "picture": picture,
        "description": description,
        "model": model,
        "tools": False if no_tools else list(tools) or None,
        "documents": True if all_documents else find_document_ids(api, documents) or None,
        "memory": "none" if no_memory else None,
        "starters": list(starters) or None,
    }
    return {name: value for name, value in given.items() if value is not None}
