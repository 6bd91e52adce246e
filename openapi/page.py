"""Render the document as a static HTML page, without scripts or external resources."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

type Schema = Mapping[str, Any]
LIMITS = {"minLength": "at least {} characters", "maxLength": "at most {} characters", "minimum": "at least {}", "maximum": "at most {}"}


LIMITS |= {"exclusiveMinimum": "more than {}", "format": "{}", "default": "default {}", "pattern": "matching {}"}


def render(document: Mapping[str, Any]) -> str:
    """Return the HTML page of an OpenAPI document."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["coded"] = format_code
    environment.globals |= {"type_of": type_of, "limits_of": limits_of, "name_of": name_of, "named": schema_name}
    html: str = environment.get_template("page.html").render(
        document=document, groups=dict(_groups(document)), common=_common_responses(document)
    )
    return html + "\n"


def format_code(text: str) -> Markup:
    """Return the text as HTML with backtick spans as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


def name_of(reference: str) -> str:
    """Return the last part of a reference."""
    return reference.rpartition("/")[2]


def type_of(schema: Schema) -> str:
    """Return a readable type of a schema, or its name if it is a reference."""
    if "$ref" in schema:
        return name_of(schema["$ref"])
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(type_of(variant) for variant in variants))
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return " or ".join(f"“{value}”" for value in values)
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    kind = schema.get("type", "anything")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def schema_name(schema: Schema) -> str | None:
    """Return the name of the first schema that `schema` refers to: directly, as a variant, or as the items of a list."""
    if "$ref" in schema:
        return name_of(schema["$ref"])
    inner = [*schema.get("anyOf", ()), schema["items"]] if "items" in schema else schema.get("anyOf", ())
    return next(filter(None, map(schema_name, inner)), None)


def limits_of(schema: Schema) -> str:
    """Return the constraints on a value as text. A nullable value has the constraints of its non-null variant."""
    inner: Schema = next((variant for variant in schema.get("anyOf", ()) if variant.get("type") != "null"), {})
    return ", ".join(wording.format(value) for key, wording in LIMITS.items() if (value := {**inner, **schema}.get(key)) is not None)


def _common_responses(document: Mapping[str, Any]) -> set[str]:
    """Return the names of the responses shared by at least half of the operations; the page lists them once."""
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = (name_of(response["$ref"]) for operation in operations for response in operation["responses"].values() if "$ref" in response)
    return {name for name, count in Counter(names).items() if count * 2 >= len(operations)}


def _groups(document: Mapping[str, Any]) -> Iterator[tuple[Any, list[tuple[str, str, Any]]]]:
    for tag in document["tags"]:
        operations = [
            (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
        yield tag["name"], operations
