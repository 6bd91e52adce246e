"""Errors of groups."""

from uuid import UUID

from parley.errors import Forbidden, ParleyError


class OwnersOnly(Forbidden):
    """The caller belongs to the group or is invited to it, but does not own it."""

    public_message = "Only an owner of the group can do this."

    def __init__(self, group_id: UUID) -> None:
        super().__init__(f"not an owner of group {group_id}")


class LastOwner(ParleyError):
    """The group would be left without an owner."""

    status, code = 409, "last_owner"
    public_message = "The group needs an owner. Make another member an owner first, or delete the group."

    def __init__(self, group_id: UUID) -> None:
        super().__init__(f"the last owner of group {group_id}")


class GroupManaged(ParleyError):
    """The identity provider decides who is a member of the group."""

    status, code = 409, "group_managed"
    public_message = "Your organization manages this group's members. Ask an admin."

    def __init__(self, group_id: UUID) -> None:
        super().__init__(f"group {group_id} is managed")


class NotAMember(ParleyError):
    """The address belongs to no member of the group, so it cannot become an owner."""

    status, code = 409, "not_a_member"
    public_message = "Only a member can become an owner. Invite the address first."


class TooManyGroups(ParleyError):
    """The user has reached the limit of groups."""

    status, code = 409, "too_many_groups"

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} groups")
        self.public_message = f"You are in {count} groups, which is the limit. Leave one first."


class TooManyMembers(ParleyError):
    """The group has reached the limit of members and invitations."""

    status, code = 409, "too_many_members"

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} members")
        self.public_message = f"The group has {count} members and invitations, which is the limit. Remove one first."


class ShareTooLarge(ParleyError):
    """An owner would give each member more than the group's budget, or the group has none."""

    status, code = 409, "share_too_large"
    public_message = "A member's share cannot exceed the group's budget, which an admin sets."

    def __init__(self, group_id: UUID) -> None:
        super().__init__(f"the share exceeds the pool of group {group_id}")
