"""Accounts as the identity provider provisions them.

A provisioned account has no password: its user signs in at an issuer, which joins it by its address. The provider vouches for the
address, so it counts as proven. Deleting a user disables the account and keeps its data; creating it again enables the account.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from functions.auth.passwords import NO_PASSWORD
from functions.auth.schemas import Email
from functions.auth.scim.errors import AlreadyExists, ScimError, UnknownResource
from functions.auth.scim.filters import Term
from functions.auth.scim.schemas import MAX_NAME, ScimUserIn
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import administration, api_keys, audit, oidc, one_time_codes, passkeys, second_factors, sessions, users
from parley.db.engine import Connection
from parley.db.scim import groups as stored_groups
from parley.db.scim import users as stored
from parley.db.scim.conditions import Condition
from parley.db.scim.users import ScimUser
from parley.db.transactions import global_scope, lock_until_end, user_scope
from parley.ids import new_id

_FIELDS = {"id": "id", "username": "user_name", "externalid": "external_id", "displayname": "display_name", "active": "is_active"}
_WORK_ADDRESS: dict[str, str | bool] = {"type": "work", "primary": True}
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


@dataclass(frozen=True, slots=True)
class Profile:
    """The attributes of an account that the identity provider writes."""

    user_name: str
    external_id: str | None
    email: str
    display_name: str | None
    given_name: str | None
    family_name: str | None
    is_active: bool

    @classmethod
    def of(cls, given: ScimUserIn, *, is_active: bool) -> "Profile":
        """Read a request; `is_active` holds if the request does not say. Raises ScimError without an address."""
        preferred = sorted(given.emails, key=lambda email: (not email.primary, (email.type or "").lower() != "work"))
        email = preferred[0].value if preferred else _address(given.user_name)
        return cls(
            user_name=given.user_name,
            external_id=given.external_id,
            email=email,
            display_name=given.display_name,
            given_name=given.name.given_name,
            family_name=given.name.family_name,
            is_active=is_active if given.active is None else given.active,
        )

    @classmethod
    def whole(cls, given: ScimUserIn, *, is_active: bool) -> "Profile":
        """Read a request with all of a user's attributes. Without `displayName`, the parts of the name are shown."""
        profile, name = cls.of(given, is_active=is_active), given.name
        parts = " ".join(part for part in (name.given_name, name.family_name) if part)[:MAX_NAME]
        return replace(profile, display_name=profile.display_name or name.formatted or parts or None)

    def changes(self, user: ScimUser) -> list[str]:
        """Return the names of the attributes in which the account differs."""
        return [field.name for field in fields(self) if getattr(self, field.name) != getattr(user, field.name)]


def select_page(connection: Connection, terms: Sequence[Term], *, offset: int, limit: int) -> tuple[list[ScimUser], int]:
    """Return the accounts that a filter finds in this part of the list, and their number in all. Raises ScimError."""
    conditions = [condition for term in terms if (condition := _condition(term))]
    if len(conditions) < len(terms):
        return [], 0  # no account fulfils one of the comparisons
    return stored.page(connection, conditions, offset=offset, limit=limit), stored.count(connection, conditions)


def get(connection: Connection, user_id: UUID) -> ScimUser:
    """Return an account, or raise UnknownResource. Requires the background role."""
    found = stored.page(connection, [Condition("id", "eq", user_id)], offset=0, limit=1)
    if not found:
        raise UnknownResource("user")
    return found[0]


def create(services: AuthServices, profile: Profile, *, origin: ClientOrigin) -> ScimUser:
    """Create an account, or enable the one with this address that the provider deleted before. Raises AlreadyExists."""
    with _locked(services) as background:
        _check_free(background, profile, old=None)
        holder = stored.find_address(background, profile.email)
        if holder is not None and not holder[1]:
            raise AlreadyExists("e-mail address")
        user_id, is_new = (new_id(), True) if holder is None else (holder[0], False)
        with user_scope(services.engine, user_id) as connection:
            if is_new:
                _add(services, connection, user_id, profile)
            else:
                _drop_credentials(connection, user_id)
                users.set_verified_email(connection, user_id, profile.email)
            users.change(connection, user_id, {"display_name": profile.display_name})
            _set_active(connection, user_id, is_active=profile.is_active)
            _store(connection, user_id, profile)
            audit.add(connection, user_id, "provisioned", origin)
        return get(background, user_id)


def change(services: AuthServices, user_id: UUID, profile_of: Callable[[ScimUser], Profile], *, origin: ClientOrigin) -> ScimUser:
    """Give an account the attributes that `profile_of` makes of it, and take it over if the provider has not written it yet.

    Raises UnknownResource, AlreadyExists, and ScimError if the last admin would be disabled or the address of an admin changed or given.
    """
    with _locked(services) as background:
        user = get(background, user_id)
        profile = profile_of(user)
        changes = profile.changes(user)
        if user.is_provisioned and not changes:
            return user
        _check_free(background, profile, old=user)
        _check_admin(services, background, user, profile)
        with user_scope(services.engine, user_id) as connection:
            _change(connection, user, profile, changes, origin=origin)
        return get(background, user_id)


def remove(services: AuthServices, user_id: UUID, *, origin: ClientOrigin) -> None:
    """Disable an account, end its access and its membership of managed groups, and hide it from the provider.

    All of it happens in one transaction of the user: a request that fails halfway has done nothing and can be repeated. An admin is
    not deleted: the account would have to come back as a user's, whom the issuer's groups can make an admin again, with the address
    that the provider gave it meanwhile. Raises UnknownResource, and ScimError for an admin.
    """
    with _locked(services) as background:
        user = get(background, user_id)
        if user.role == "admin":
            raise ScimError("mutability", "An admin is not deleted by SCIM, only disabled. Change the role first.")
        lock_until_end(background, "SCIM groups")  # nobody adds the user to a group meanwhile
        with user_scope(services.engine, user_id) as connection:
            _set_active(connection, user_id, is_active=False)
            for group_id in stored_groups.leave_all(connection, user_id):
                audit.record_members(connection, "group_left", [user_id], group_id=group_id, origin=origin)
            names = {"external_id": user.external_id, "given_name": user.given_name, "family_name": user.family_name}
            stored.store(connection, user_id, user_name=user.user_name, **names)
            stored.remove(connection, user_id)
            audit.add(connection, user_id, "deprovisioned", origin)


@contextmanager
def _locked(services: AuthServices) -> Iterator[Connection]:
    """Open a transaction of the background role, while no other request of the provider changes accounts.

    The first lock keeps user names, addresses and external ids unique: indexes cannot, as the table is keyed by user. With the second
    one, which `functions.auth.admin` takes too, roles do not change after they were checked.
    """
    with global_scope(services.background) as connection:
        lock_until_end(connection, "SCIM users")
        lock_until_end(connection, "admins")
        yield connection


def _condition(term: Term) -> Condition | None:
    path, value = term.path, term.value
    if path.attribute == "emails":
        is_ours = all(inner.matches(_WORK_ADDRESS.get(inner.path.attribute, "")) for inner in path.filter)
        return Condition("email", term.operator, str(value).lower()) if is_ours and path.part in (None, "value") else None
    field = _FIELDS.get(path.attribute)
    if field is None or path.part or path.filter:
        raise ScimError("invalidFilter", f"Users are filtered by {', '.join((*_FIELDS, 'emails'))}, regardless of case.")
    if field == "is_active":
        return Condition(field, "eq", value) if isinstance(value, bool) and term.operator == "eq" else None
    if isinstance(value, bool):
        return None
    if field == "id":
        id = parse_id(value)
        return Condition(field, "eq", id) if id and term.operator == "eq" else None
    return Condition(field, term.operator, value)


def parse_id(text: str) -> UUID | None:
    """Return the id, or None if the text is not a UUID, which all ids of Parley are."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _address(user_name: str) -> str:
    """Return the user name as an address, or raise ScimError."""
    try:
        return _EMAIL.validate_python(user_name)
    except ValidationError as exc:
        raise ScimError("invalidValue", "The user needs an e-mail address: in emails, or as userName.") from exc


def _check_free(background: Connection, profile: Profile, *, old: ScimUser | None) -> None:
    """Raise AlreadyExists if another account has the user name or the external id.

    Names that the provider has given to the account before are not looked up again.
    """
    written = old if old and old.is_provisioned else None
    unique: dict[str, Condition] = {}
    if not written or profile.user_name.lower() != written.user_name.lower():
        unique["userName"] = Condition("user_name", "eq", profile.user_name)
    if profile.external_id and not (written and profile.external_id == written.external_id):
        unique["externalId"] = Condition("external_id", "eq", profile.external_id)
    for attribute, condition in unique.items():
        if any(not old or user.id != old.id for user in stored.page(background, [condition], offset=0, limit=2)):
            raise AlreadyExists(attribute)


def _check_admin(services: AuthServices, background: Connection, user: ScimUser, profile: Profile) -> None:
    """Raise ScimError if the last admin would be disabled, or the address of an admin changed or given to somebody else.

    A stolen SCIM token must not make a thief an admin. Anyone who has an admin's address can have a new password mailed to it, and the
    configured address makes its account an admin at the next login at an issuer.
    """
    if profile.email != user.email and "admin" in (user.role, services.registration_policy.role_of(profile.email)):
        raise ScimError("mutability", "SCIM neither changes nor gives the address of an admin. Change the role first.")
    is_disabled = user.is_active and not profile.is_active
    if is_disabled and user.role == "admin" and not administration.has_other_admin(background, user.id):
        raise ScimError("mutability", "The last admin cannot be disabled.")


def _add(services: AuthServices, connection: Connection, user_id: UUID, profile: Profile) -> None:
    added = users.add(
        connection,
        user_id,
        email=profile.email,
        display_name=profile.display_name,
        password_hash=NO_PASSWORD,
        role=services.registration_policy.role_of(profile.email),
        is_verified=True,
    )
    if added is None:
        raise AlreadyExists("e-mail address")


def _change(connection: Connection, user: ScimUser, profile: Profile, changes: list[str], *, origin: ClientOrigin) -> None:
    if "email" in changes:
        one_time_codes.invalidate(connection, user_id=user.id, purpose="reset_password")
    if not user.is_verified or "email" in changes:
        _drop_credentials(connection, user.id)
    if "email" in changes and not users.change_email(connection, user.id, profile.email):
        raise AlreadyExists("e-mail address")
    users.set_verified_email(connection, user.id, profile.email)
    if "display_name" in changes:
        users.change(connection, user.id, {"display_name": profile.display_name})
    if "is_active" in changes:
        _set_active(connection, user.id, is_active=profile.is_active)
        audit.add(connection, user.id, "enabled_by_provider" if profile.is_active else "disabled_by_provider", origin)
    _store(connection, user.id, profile)
    audit.add(connection, user.id, "changed_by_provider", origin, attributes=changes)


def _drop_credentials(connection: Connection, user_id: UUID) -> None:
    """Remove password, passkeys, second factor, identities at issuers, sessions and API keys.

    If nobody has proven the account's address, somebody else may have registered it before its owner came. And if the provider changes
    the address, the holder of the address before may have set a password or joined an identity: a thief of the token would keep it
    after changing the address back. The owner's identity joins again at the next login, by the address.
    """
    # First, as it locks the credentials: what is added meanwhile waits or is removed too.
    users.set_password_hash(connection, user_id, NO_PASSWORD)
    second_factors.remove(connection, user_id=user_id)
    passkeys.remove_all(connection, user_id=user_id)
    oidc.remove_identities(connection, user_id=user_id)
    _end_access(connection, user_id)


def _set_active(connection: Connection, user_id: UUID, *, is_active: bool) -> None:
    """Enable or disable an account, and end its sessions and API keys at once.

    Enabling ends them too: an admin who disables an account does not revoke its API keys, and they must not come back unseen.
    """
    if is_active:
        users.change(connection, user_id, {"disabled_at": None})
    else:
        users.disable(connection, user_id)
    _end_access(connection, user_id)


def _end_access(connection: Connection, user_id: UUID) -> None:
    sessions.end_all(connection, user_id=user_id)
    api_keys.revoke_all(connection, user_id=user_id)


def _store(connection: Connection, user_id: UUID, profile: Profile) -> None:
    stored.store(
        connection,
        user_id,
        user_name=profile.user_name,
        external_id=profile.external_id,
        given_name=profile.given_name,
        family_name=profile.family_name,
    )
