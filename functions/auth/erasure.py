"""The end of an account, and the file of everything that was in it. The work is upkeep's; here it is asked for."""

from uuid import UUID

from functions.auth.desk import Desk
from functions.auth.sign_in import prove_again
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db import outbox
from parley.db.accounts import audit, exports, sessions, users
from parley.db.accounts.exports import Export
from parley.db.transactions import principal_scope
from parley.ids import new_id
from parley.jobs import OutboxJob

URL_LIFETIME_S = 24 * 3600


def erase(services: Desk, principal: Principal, *, password: str, origin: ClientOrigin) -> None:
    """Shut the account at once and have everything of it deleted. Raises TooManyGuesses and WrongPassword."""
    user, _ = prove_again(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        users.disable(connection, user.id)
        sessions.end_all(connection, user_id=user.id)
        audit.add(connection, user.id, "deletion_requested", origin)
        entry = outbox.add(connection, "erase", user_id=user.id)
    services.queue.send_later(OutboxJob.of(entry))


def ask_for_export(services: Desk, principal: Principal, *, origin: ClientOrigin) -> Export:
    """Have everything stored about the user written to a file; who asks again within the hour gets the same one."""
    with principal_scope(services.engine, principal) as connection:
        if (recent := exports.find_recent(connection, user_id=principal.user_id)) is not None:
            return recent
        export = exports.add(connection, new_id(), user_id=principal.user_id)
        audit.add(connection, principal.user_id, "export_requested", origin, export_id=str(export.id))
        entry = outbox.add(connection, "export", user_id=principal.user_id, subject_id=export.id)
    services.queue.send_later(OutboxJob.of(entry))
    return export


def get_export(services: Desk, principal: Principal, export_id: UUID) -> tuple[Export, str | None]:
    """Return an export and an address of its file that holds for a day, once there is one. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        export = exports.get(connection, export_id, user_id=principal.user_id)
    return export, services.files.signed_url(export.file_key, lifetime_s=URL_LIFETIME_S) if export.file_key else None
