"""PATCH of users and groups (RFC 7644, 3.5.2), with what Okta and Entra send beyond it.

Entra capitalises operations, sends truth values as texts, names members to remove in `value`, and leaves out paths; Okta leaves out
paths, too.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from functions.auth.scim.errors import ScimError
from functions.auth.scim.filters import AttributePath, InvalidPath, Term, parse_path
from functions.auth.scim.schemas import MAX_MEMBERS_PER_REQUEST, ScimOperation
from parley.db.scim.users import ScimUser

type Document = dict[str, Any]  # attributes as PUT has them

_TEXTS = {"username": "userName", "externalid": "externalId", "displayname": "displayName"}
_NAME_PARTS = {"givenname": "givenName", "familyname": "familyName"}
# Attributes of the core schema that Parley does not store, and those that a client cannot set.
_IGNORED = {"password", "title", "nickname", "profileurl", "usertype", "preferredlanguage", "locale", "timezone", "phonenumbers", "ims"}
_IGNORED |= {"photos", "addresses", "entitlements", "roles", "x509certificates", "groups", "meta", "schemas"}
_EMAIL_PARTS = (None, "value")


@dataclass(slots=True)
class MemberChanges:
    """The members that a request adds and removes, or all that it leaves if it `replaces` them."""

    replaces: bool = False
    added: set[UUID] = field(default_factory=set)
    removed: set[UUID] = field(default_factory=set)

    def replace(self, ids: set[UUID]) -> None:
        """Leave only these members."""
        self.replaces, self.added, self.removed = True, ids, set()

    def add(self, ids: set[UUID]) -> None:
        """Add members."""
        self.added |= ids
        self.removed -= ids

    def remove(self, ids: set[UUID]) -> None:
        """Remove members."""
        self.added -= ids
        self.removed |= ids


@dataclass(slots=True)
class GroupChanges:
    """The changes of a group by a PATCH: attributes, named as PUT names them, and members."""

    attributes: Document = field(default_factory=dict)
    members: MemberChanges = field(default_factory=MemberChanges)


def patch_user(user: ScimUser, operations: Iterable[ScimOperation]) -> Document:
    """Return the user's attributes after the operations, to be validated as those of a PUT. Raises ScimError."""
    document: Document = {
        "userName": user.user_name,
        "externalId": user.external_id,
        "displayName": user.display_name,
        "name": {"givenName": user.given_name, "familyName": user.family_name},
        "emails": [{"value": user.email, "type": "work", "primary": True}],
        "active": user.is_active,
    }
    for op, path, value in _changes(operations):
        _change_user(document, op, path, value)
    return document


def patch_group(operations: Iterable[ScimOperation]) -> GroupChanges:
    """Return the changes of a group. Raises ScimError."""
    changes = GroupChanges()
    for op, path, value in _changes(operations):
        match path.attribute:
            case "displayname":
                changes.attributes["displayName"] = None if op == "remove" else value
            case "externalid":
                changes.attributes["externalId"] = None if op == "remove" else value
            case "members":
                _change_members(changes.members, op, path, value)
            case _:
                _check_ignored(path)
        if len(changes.members.added) + len(changes.members.removed) > MAX_MEMBERS_PER_REQUEST:
            raise too_many_members()
    return changes


def member_ids(value: Any) -> set[UUID]:
    """Return the ids of a list of members, or of one member. Raises ScimError."""
    members = value if isinstance(value, list) else [value]
    if len(members) > MAX_MEMBERS_PER_REQUEST:
        raise too_many_members()
    return {_member_id(member.get("value") if isinstance(member, dict) else member) for member in members}


def too_many_members() -> ScimError:
    """Return the error of a request with too many members."""
    return ScimError("tooMany", f"A request may name {MAX_MEMBERS_PER_REQUEST} members at most.")


def _changes(operations: Iterable[ScimOperation]) -> Iterator[tuple[str, AttributePath, Any]]:
    """Yield each change as operation, path and value. An operation without a path has an object of attributes as its value."""
    for operation in operations:
        if operation.path:
            yield operation.op, parse_path(operation.path), operation.value
        elif operation.op == "remove":
            raise ScimError("noTarget", "An operation that removes needs a path.")
        elif not isinstance(operation.value, dict):
            raise ScimError("invalidValue", "An operation without a path needs an object as its value.")
        else:
            # The id may be repeated here, and stays as it is.
            paths = ((parse_path(name), value) for name, value in operation.value.items() if name.lower() != "id")
            yield from ((operation.op, path, value) for path, value in paths)


def _change_user(document: Document, op: str, path: AttributePath, value: Any) -> None:
    match path.attribute:
        case text if text in _TEXTS:
            document[_TEXTS[text]] = None if op == "remove" else value
        case "active":
            document["active"] = None if op == "remove" else value
        case "name":
            _change_name(document["name"], op, path.part, value)
        case "emails":
            document["emails"] = _change_emails(document["emails"], op, path, value)
        case _:
            _check_ignored(path)


def _change_name(name: Document, op: str, part: str | None, value: Any) -> None:
    if part is None and op != "remove" and not isinstance(value, dict):
        raise ScimError("invalidValue", "A name is an object.")
    parts = {part: value} if part else value or dict.fromkeys(_NAME_PARTS)
    for key, text in parts.items():
        if key.lower() in _NAME_PARTS:  # `formatted` follows from the others
            name[_NAME_PARTS[key.lower()]] = None if op == "remove" else text


def _change_emails(emails: list[Document], op: str, path: AttributePath, value: Any) -> list[Document]:
    """Return the addresses after an operation. An account has one address, which is its work address and primary."""
    if path.part not in _EMAIL_PARTS:
        return emails
    if not path.filter:
        new = value if isinstance(value, list) else [{"value": value} if isinstance(value, str) else value]
        if op != "remove" and not all(isinstance(email, dict) for email in new):
            raise ScimError("invalidValue", "An address is an object with a value.")
        return [] if op == "remove" else new if op == "replace" else _joined(emails, new)
    if not emails or not all(_matches(emails[0], term) for term in path.filter):
        if op == "replace":
            raise ScimError("noTarget", "No address of the account matches the filter.")
        return emails
    address = value.get("value") if isinstance(value, dict) else value
    return [] if op == "remove" else [{"value": address, "type": "work", "primary": True}]


def _joined(emails: list[Document], new: list[Document]) -> list[Document]:
    """Return the addresses with those added: a new primary address replaces the old one as such."""
    has_primary = any(email.get("primary") for email in new)
    return [email | {"primary": not has_primary} for email in emails] + new


def _matches(email: Document, term: Term) -> bool:
    value = email.get(term.path.attribute)
    return isinstance(value, str | bool) and term.matches(value)


def _change_members(changes: MemberChanges, op: str, path: AttributePath, value: Any) -> None:
    if path.filter:
        ids = {_member_id(term.value) for term in path.filter if (term.path.attribute, term.operator) == ("value", "eq")}
        if op != "remove" or len(ids) != len(path.filter):
            raise InvalidPath('Members are removed by members[value eq "…"].')
        return changes.remove(ids)
    if op == "remove" and value is None:
        return changes.replace(set())
    apply: dict[str, Callable[[set[UUID]], None]] = {"add": changes.add, "remove": changes.remove, "replace": changes.replace}
    return apply[op](member_ids(value or []))


def _check_ignored(path: AttributePath) -> None:
    """Raise an error unless the attribute is one that Parley knows and does not store."""
    if path.attribute == "id":
        raise ScimError("mutability", "Attribute 'id' is readOnly.")
    if path.attribute not in _IGNORED and not path.attribute.startswith("urn:"):
        raise InvalidPath


def _member_id(value: object) -> UUID:
    try:
        return UUID(value) if isinstance(value, str) else UUID("")
    except ValueError as exc:
        raise ScimError("invalidValue", "A member's value is the id of a user.") from exc
