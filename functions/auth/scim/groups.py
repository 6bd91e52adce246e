"""Groups that the identity provider manages: they belong to the deployment, have no owner, and their members cannot change them."""

from collections.abc import Collection, Sequence
from itertools import accumulate
from uuid import UUID

from functions.auth.scim.errors import AlreadyExists, ScimError, UnknownResource
from functions.auth.scim.filters import Term
from functions.auth.scim.patches import GroupChanges, MemberChanges, member_ids, patch_group
from functions.auth.scim.schemas import ScimGroupIn, ScimOperation, validate
from functions.auth.scim.users import parse_id
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import audit
from parley.db.accounts.audit import DeploymentAction
from parley.db.engine import Connection
from parley.db.scim import groups
from parley.db.scim.conditions import Condition
from parley.db.scim.groups import ScimGroup, ScimMember
from parley.db.transactions import lock_until_end
from parley.ids import new_id

MAX_MEMBERS = 10_000
_FIELDS = {"id": "id", "displayname": "name", "externalid": "external_id"}


def select_page(connection: Connection, terms: Sequence[Term], *, offset: int, limit: int) -> tuple[list[ScimGroup], int]:
    """Return the groups that a filter finds in this part of the list, and their number in all. Raises ScimError."""
    conditions: list[Condition] = []
    members: set[UUID | None] = set()
    for term in terms:
        if term.path.attribute == "members" and term.path.part in (None, "value") and not term.path.filter:
            members.add(parse_id(str(term.value)) if term.operator == "eq" else None)
        elif (condition := _condition(term)) is not None:
            conditions.append(condition)
        else:
            return [], 0
    if None in members or len(members) > 1:
        return [], 0
    member = next(iter(members), None)
    found = groups.page(connection, conditions, offset=offset, limit=limit, member=member)
    return found, groups.count(connection, conditions, member=member)


def get(connection: Connection, group_id: UUID) -> ScimGroup:
    """Return a managed group, or raise UnknownResource."""
    found = groups.page(connection, [Condition("id", "eq", group_id)], offset=0, limit=1)
    if not found:
        raise UnknownResource("group")
    return found[0]


def bounded(connection: Connection, found: Sequence[ScimGroup]) -> list[ScimGroup]:
    """Return the first of these groups that together have no more members than one group may have, and at least one."""
    counts = groups.count_members(connection, [group.id for group in found])
    totals = accumulate(counts.get(group.id, 0) for group in found)
    return [group for group, total in zip(found, totals, strict=True) if group == found[0] or total <= MAX_MEMBERS]


def members_of(connection: Connection, found: Sequence[ScimGroup]) -> dict[UUID, list[ScimMember]]:
    """Return the members of groups, by group."""
    members: dict[UUID, list[ScimMember]] = {group.id: [] for group in found}
    for member in groups.members(connection, list(members)):
        members[member.group_id].append(member)
    return members


def create(connection: Connection, given: ScimGroupIn, *, origin: ClientOrigin) -> ScimGroup:
    """Create a managed group. Raises AlreadyExists, ScimError and PaidByAnotherGroup."""
    _lock(connection)
    _check_free(connection, given.external_id, but=None)
    group_id = new_id()
    groups.add(connection, group_id, name=given.display_name, external_id=given.external_id)
    _add_members(connection, group_id, member_ids([member.value for member in given.members]), origin=origin)
    _record(connection, "scim_group_made", group_id, origin)
    return get(connection, group_id)


def replace(connection: Connection, group_id: UUID, given: ScimGroupIn, *, origin: ClientOrigin) -> ScimGroup:
    """Give a managed group this name and these members. Raises UnknownResource, AlreadyExists, ScimError and PaidByAnotherGroup."""
    members = MemberChanges(replaces=True, added=member_ids([member.value for member in given.members]))
    return _change(connection, group_id, GroupChanges({}, members), given, origin=origin)


def patch(connection: Connection, group_id: UUID, operations: Sequence[ScimOperation], *, origin: ClientOrigin) -> None:
    """Apply operations to a managed group. Raises UnknownResource, AlreadyExists, ScimError and PaidByAnotherGroup."""
    _change(connection, group_id, patch_group(operations), None, origin=origin)


def _change(connection: Connection, group_id: UUID, changes: GroupChanges, given: ScimGroupIn | None, *, origin: ClientOrigin) -> ScimGroup:
    _lock(connection)
    group = get(connection, group_id)
    before = {"displayName": group.name, "externalId": group.external_id}
    after = given or validate(ScimGroupIn, before | changes.attributes)
    _check_free(connection, after.external_id, but=group_id)
    groups.change(connection, group_id, name=after.display_name, external_id=after.external_id)
    _change_members(connection, group_id, changes.members, origin=origin)
    _record(connection, "scim_group_changed", group_id, origin)
    return get(connection, group_id)


def remove(connection: Connection, group_id: UUID, *, origin: ClientOrigin) -> None:
    """Delete a managed group; documents that were shared with it stay with their owners. Raises UnknownResource."""
    _lock(connection)
    get(connection, group_id)
    groups.remove(connection, group_id)
    _record(connection, "scim_group_deleted", group_id, origin)


def _condition(term: Term) -> Condition | None:
    field, value = _FIELDS.get(term.path.attribute), term.value
    if field is None or term.path.part or term.path.filter:
        raise ScimError("invalidFilter", f"Groups are filtered by {', '.join((*_FIELDS, 'members'))}, regardless of case.")
    if isinstance(value, bool):
        return None
    if field == "id":
        id = parse_id(value)
        return Condition(field, "eq", id) if id and term.operator == "eq" else None
    return Condition(field, term.operator, value)


def _change_members(connection: Connection, group_id: UUID, changes: MemberChanges, *, origin: ClientOrigin) -> None:
    removed: set[UUID] = set()
    if changes.replaces:
        removed = groups.keep_members(connection, group_id, changes.added)
    elif changes.removed:
        removed = groups.remove_members(connection, group_id, changes.removed)
    audit.record_members(connection, "group_left", removed, group_id=group_id, origin=origin)
    _add_members(connection, group_id, changes.added, origin=origin)


def _add_members(connection: Connection, group_id: UUID, user_ids: Collection[UUID], *, origin: ClientOrigin) -> None:
    if not user_ids:
        return
    joined, unknown = groups.add_members(connection, group_id, user_ids)
    audit.record_members(connection, "group_joined", joined, group_id=group_id, origin=origin)
    if unknown:
        raise ScimError("invalidValue", "A member's value is the id of a user.")
    if groups.count_members(connection, [group_id]).get(group_id, 0) > MAX_MEMBERS:
        raise ScimError("tooMany", f"A group has {MAX_MEMBERS} members at most.")


def _check_free(connection: Connection, external_id: str | None, *, but: UUID | None) -> None:
    if external_id is None:
        return
    others = groups.page(connection, [Condition("external_id", "eq", external_id)], offset=0, limit=2)
    if any(group.id != but for group in others):
        raise AlreadyExists("externalId")


def _record(connection: Connection, action: DeploymentAction, group_id: UUID, origin: ClientOrigin) -> None:
    detail = {"group_id": str(group_id)}
    audit.record(connection, action, actor="scim", actor_id=None, account_id=None, origin=origin, detail=detail)


def _lock(connection: Connection) -> None:
    """Make concurrent changes of managed groups wait, so that external ids stay unique."""
    lock_until_end(connection, "SCIM groups")
