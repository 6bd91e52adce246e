"""Found and leave groups, invite, change who owns them, and set their budgets.

An invitation names an e-mail address and waits until a user with this address answers it. Inviting gives the same response, and sends
the same e-mail, whether or not the address has an account. A group never loses its last owner.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from functions.auth.errors import EmailDomainRefused
from functions.auth.groups.errors import GroupManaged, LastOwner, NotAMember, OwnersOnly, ShareTooLarge, TooManyGroups, TooManyMembers
from functions.auth.login_throttle import may_invite_by_mail
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db.accounts import audit, users
from parley.db.engine import Connection
from parley.db.groups import membership, pools
from parley.db.groups.membership import Group, Member, Role
from parley.db.groups.pools import FundedGroup
from parley.db.transactions import global_scope, lock_until_end, principal_scope
from parley.errors import NotFound
from parley.ids import new_id
from parley.jobs import GroupInvitation
from parley.observability import logger

MAX_GROUPS = 100
MAX_MEMBERS = 500


def found(connection: Connection, principal: Principal, *, name: str, origin: ClientOrigin) -> Group:
    """Create a group with the caller as its owner. Raises TooManyGroups."""
    _check_group_limit(connection, principal.user_id)
    group_id = new_id()
    membership.add(connection, group_id, user_id=principal.user_id, name=name)
    audit.add(connection, principal.user_id, "group_founded", origin, group_id=str(group_id))
    return membership.get(connection, group_id, user_id=principal.user_id)


def change(services: AuthServices, principal: Principal, group_id: UUID, changes: Mapping[str, Any], *, origin: ClientOrigin) -> Group:
    """Rename a group, or set its members' share of the budget that an admin has given it. Raises NotFound, OwnersOnly and ShareTooLarge."""
    with principal_scope(services.engine, principal) as connection:
        _check_owner(connection, principal, group_id)
        if "member_budget_usd" in changes:
            share = {"member_budget_usd": changes["member_budget_usd"]}
            _set_share(services, group_id, share["member_budget_usd"])
            audit.add(connection, principal.user_id, "group_share_changed", origin, group_id=str(group_id), changes=share)
        if changes.get("name") is not None:
            membership.rename(connection, group_id, changes["name"], user_id=principal.user_id)
        return membership.get(connection, group_id, user_id=principal.user_id)


def remove(connection: Connection, principal: Principal, group_id: UUID, *, origin: ClientOrigin) -> None:
    """Delete a group; its members keep their documents. Raises NotFound and OwnersOnly."""
    _check_owner(connection, principal, group_id)
    membership.remove(connection, group_id, user_id=principal.user_id)
    audit.add(connection, principal.user_id, "group_deleted", origin, group_id=str(group_id))


def set_member(connection: Connection, principal: Principal, group_id: UUID, *, email: str, role: Role, origin: ClientOrigin) -> bool:
    """Change the role of the member with this address, or invite the address. Returns whether the address was invited just now.

    Raises NotFound, OwnersOnly, NotAMember, LastOwner and TooManyMembers.
    """
    _lock(connection, group_id)
    _check_owner(connection, principal, group_id)
    member = membership.find_member(connection, group_id, email, user_id=principal.user_id)
    if member is None or member.user_id is None:
        return _invite(connection, principal, group_id, email=email, role=role)
    if member.role != role:
        _check_other_owner(connection, group_id, member)
        membership.set_role(connection, group_id, member.user_id, role, user_id=principal.user_id)
        audit.add(connection, principal.user_id, "group_role_changed", origin, group_id=str(group_id), role=role)
    return False


def mail_invitation(services: AuthServices, inviter: Principal, email: str) -> bool:
    """Queue an email about an invitation that is committed.

    Returns False without a sender, for an address whose domain may not register, and after too many invitations.
    """
    try:
        services.registration_policy.check_domain(email)
    except EmailDomainRefused:
        return False
    if not services.sends_mail or not may_invite_by_mail(services.background, email, inviter.user_id):
        return False
    services.queue.send_later(GroupInvitation(email))
    return True


def remove_member(connection: Connection, principal: Principal, group_id: UUID, *, email: str, origin: ClientOrigin) -> None:
    """Remove a member or an invitation. Users may do this to themselves: they leave, or decline the invitation.

    Raises NotFound, GroupManaged, OwnersOnly and LastOwner.
    """
    _lock(connection, group_id)
    group = membership.get(connection, group_id, user_id=principal.user_id)
    if group.is_managed:
        raise GroupManaged(group_id)
    is_self = email == users.get(connection, principal.user_id).email
    if not is_self and group.role != "owner":
        raise OwnersOnly(group_id)
    member = membership.find_member(connection, group_id, email, user_id=principal.user_id)
    if member is None:
        raise NotFound("member", "with this address")
    if member.user_id is None:
        membership.withdraw(connection, group_id, email)
        return
    _check_other_owner(connection, group_id, member)
    membership.remove_member(connection, group_id, member.user_id, user_id=principal.user_id)
    # A member who has changed to an invited address could join again by the invitation.
    membership.withdraw(connection, group_id, email)
    audit.add(connection, principal.user_id, "group_left" if is_self else "group_member_removed", origin, group_id=str(group_id))


def join(connection: Connection, principal: Principal, group_id: UUID, *, origin: ClientOrigin) -> Group:
    """Accept the caller's invitation. A member who joins again changes nothing. Raises NotFound, TooManyGroups and PaidByAnotherGroup."""
    _lock(connection, group_id)
    group = membership.get(connection, group_id, user_id=principal.user_id)
    if group.role != "invited":
        return group
    _check_group_limit(connection, principal.user_id)
    membership.join(connection, group_id, users.get(connection, principal.user_id).email, user_id=principal.user_id)
    audit.add(connection, principal.user_id, "group_joined", origin, group_id=str(group_id))
    return membership.get(connection, group_id, user_id=principal.user_id)


def fund(connection: Connection, admin: Principal, group_id: UUID, changes: Mapping[str, Any]) -> FundedGroup:
    """Change a group's budgets as an admin. Raises NotFound and PaidByAnotherGroup."""
    _lock(connection, group_id)
    group = pools.change(connection, group_id, dict(changes))
    logger.info("group_funded", group_id=str(group_id), admin_id=str(admin.user_id), changes=dict(changes))
    return group


def _set_share(services: AuthServices, group_id: UUID, share_usd: float | None) -> None:
    # Budgets are written by the background role only, so that no statement of a user can raise one.
    with global_scope(services.background) as connection:
        _lock(connection, group_id)
        pool_usd = pools.get(connection, group_id).monthly_budget_usd
        if share_usd is not None and (pool_usd is None or Decimal(str(share_usd)) > pool_usd):
            raise ShareTooLarge(group_id)
        pools.change(connection, group_id, {"member_budget_usd": share_usd})


def _invite(connection: Connection, principal: Principal, group_id: UUID, *, email: str, role: Role) -> bool:
    if role == "owner":
        raise NotAMember(f"group {group_id} has no member with this address")
    if (count := membership.count_members(connection, group_id, user_id=principal.user_id)) >= MAX_MEMBERS:
        raise TooManyMembers(count)
    return membership.invite(connection, group_id, email)


def _check_owner(connection: Connection, principal: Principal, group_id: UUID) -> None:
    if membership.get(connection, group_id, user_id=principal.user_id).role != "owner":
        raise OwnersOnly(group_id)


def _check_other_owner(connection: Connection, group_id: UUID, member: Member) -> None:
    """Raise LastOwner if the member is the only owner. The caller holds the group's lock."""
    if member.role == "owner" and member.user_id and not membership.has_other_owner(connection, group_id, member.user_id):
        raise LastOwner(group_id)


def _check_group_limit(connection: Connection, user_id: UUID) -> None:
    """Raise TooManyGroups at the limit. The lock makes a concurrent request wait until this one is committed."""
    lock_until_end(connection, f"groups of {user_id}")
    if (count := membership.count(connection, user_id=user_id)) >= MAX_GROUPS:
        raise TooManyGroups(count)


def _lock(connection: Connection, group_id: UUID) -> None:
    """Make concurrent changes of the group's members wait, so that two owners cannot both leave as the last but one."""
    lock_until_end(connection, f"group {group_id}")
