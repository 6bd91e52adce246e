"""The document as a page for people: plain HTML, made once, so that it needs neither scripts nor other hosts."""

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
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["coded"] = format_code
    environment.globals |= {"type_of": type_of, "limits_of": limits_of, "name_of": name_of, "named": schema_name}
    found: str = environment.get_template("page.html").render(
        document=document, groups=dict(_groups(document)), usual=_common_responses(document)
    )
    return found + "\n"


def format_code(text: str) -> Markup:
    """Show what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


def name_of(reference: str) -> str:
    """Return what a reference refers to by its last part."""
    return reference.rpartition("/")[2]


def type_of(schema: Schema) -> str:
    """Return a schema's type in words; a named one is its name."""
    if "$ref" in schema:
        return name_of(schema["$ref"])
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(type_of(one) for one in several))
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return " or ".join(f"“{value}”" for value in values)
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    kind = schema.get("type", "anything")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def schema_name(schema: Schema) -> str | None:
    """Return the name of the schema that this one is, may be or lists."""
    if "$ref" in schema:
        return name_of(schema["$ref"])
    inner = [*schema.get("anyOf", ()), schema["items"]] if "items" in schema else schema.get("anyOf", ())
    return next(filter(None, map(schema_name, inner)), None)


def limits_of(schema: Schema) -> str:
    """Return what else a value must be, also where it may be null."""
    inner: Schema = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), {})
    return ", ".join(wording.format(value) for key, wording in LIMITS.items() if (value := {**inner, **schema}.get(key)) is not None)


def _common_responses(document: Mapping[str, Any]) -> set[str]:
    """Return the names of the answers that half of the operations or more may give: the page tells of them once."""
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    given = Counter(name_of(answer["$ref"]) for one in operations for answer in one["responses"].values() if "$ref" in answer)
    return {name for name, times in given.items() if times * 2 >= len(operations)}


def _groups(document: Mapping[str, Any]) -> Iterator[tuple[Any, list[tuple[str, str, Any]]]]:
    for tag in document["tags"]:
        operations = [
            (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
        yield tag["name"], operations
