"""The operations of the OpenAPI document as a matrix: the ids each one takes, and a valid request for it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

DOCUMENT = json.loads((Path(__file__).parents[2] / "functions" / "web" / "openapi.json").read_text())

# Ids that are unique only within the object in the path, or that name an OAuth client or a model, which belong to no user.
NESTED_IDS = {"call_id", "question_id", "client_id", "after_id", "before_id"}


# Paths whose `id` is a message number, not an object's id.
JSON_RPC = {"POST /mcp"}


@dataclass(frozen=True)
class Operation:
    """An operation; `function` is the fixture of the function that serves it."""

    method: str
    path: str
    function: str
    is_guarded: bool
    query: Mapping[str, Any]
    body: Mapping[str, Any] | None
    needed: Sequence[str] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_admins(self) -> bool:
        return self.path.startswith("/admin/")

    @property
    def collection(self) -> str:
        """The collection that the id in the path belongs to: the path before the id."""
        return self.path.partition("/{")[0]

    @property
    def has_path_id(self) -> bool:
        return "{" in self.path

    def id_fields(self) -> list[tuple[str, str]]:
        """Return the fields of query and body that contain an object's id, with their locations."""
        places = {"query": self.query, "body": (self.body or {}).get("properties", {})}
        named = [(place, name) for place, fields in places.items() for name, field in fields.items() if _is_id(name, field)]
        return [] if str(self) in JSON_RPC else named

    def url(self, id: object = "", **query: object) -> str:
        """Fill in the path. The object's variable is `id` in every path; an item is the first one of its conversation."""
        query = dict.fromkeys(self.needed, "secret") | query
        path = self.path.replace("{id}", str(id)).replace("{item_id}", f"item_{str(id).removeprefix('conv_')}_0")
        return path + (f"?{urlencode(query)}" if query else "")

    def example(self, **fields: object) -> dict[str, Any] | None:
        """Return a valid body with these fields, or None if the operation has no body."""
        if self.body is None:
            return None
        properties = self.body.get("properties", {})
        wanted = self.body.get("required", []) or list(properties)[:1]
        return {name: _value(properties[name]) for name in wanted} | {name: str(value) for name, value in fields.items()}


def operations() -> Iterator[Operation]:
    """Yield all operations of the document."""
    for path, methods in DOCUMENT["paths"].items():
        for method, found in methods.items():
            query = {one["name"]: one["schema"] for one in found.get("parameters", ()) if one["in"] == "query"}
            needed = [one["name"] for one in found.get("parameters", ()) if one["in"] == "query" and one.get("required")]
            body = next(iter(found["requestBody"]["content"].values()))["schema"] if "requestBody" in found else None
            yield Operation(method.upper(), path, found["tags"][0], bool(found["security"]), query, body and _resolve_schema(body), needed)


def filled(schema: Mapping[str, Any], text: str, depth: int = 0) -> Any:
    """Return a value of the schema with `text` in every text, as a key too where any key is allowed."""
    if "$ref" in schema:
        return filled(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], text, depth)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            texts = [one for one in schema[choice] if one.get("type") not in ("null", "boolean")]
            return filled(texts[0], text, depth) if texts else True
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object" | None if depth < 8:
            known = {name: filled(field, text, depth + 1) for name, field in schema.get("properties", {}).items()}
            return known if known else {text: text}
        case "array":
            return [filled(schema.get("items", {"type": "string"}), text, depth + 1)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
    return text[: schema.get("maxLength")]


def _resolve_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and return the first variant that is not null."""
    if "$ref" in schema:
        return _resolve_schema(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return _resolve_schema(next(one for one in schema["anyOf"] if one.get("type") != "null"))
    return schema


def _is_id(name: str, schema: Mapping[str, Any]) -> bool:
    return name not in NESTED_IDS and _is_object_id(name, schema)


def _is_object_id(name: str, schema: Mapping[str, Any]) -> bool:
    return name == "id" or name.endswith(("_id", "_ids")) or _resolve_schema(schema).get("format") == "uuid"


def _value(schema: Mapping[str, Any]) -> Any:
    """Return a valid value of this schema."""
    schema = _resolve_schema(schema)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    by_format = {"email": "somebody@example.com", "date-time": "2030-01-01T00:00:00Z", "uuid": "01996f6a-0000-7000-8000-000000000009"}
    by_type = {
        "string": "a long enough text",
        "boolean": True,
        "integer": int(schema.get("minimum", 1)),
        "number": 1.0,
        "array": [],
        "object": {},
    }
    return by_format.get(schema.get("format", "")) or by_type[schema["type"]]
