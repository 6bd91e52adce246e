"""The second factor of a login: a code of an authenticator app (TOTP, RFC 6238), or a recovery code.

The app's secret is encrypted with a key that only the auth function has, and bound to its user. A time step is accepted once, so that
an overheard code cannot be used again. Recovery codes have 120 random bits, so a plain hash of them is enough (OWASP ASVS
5.0, 6.5.2).
"""

import base64
import hashlib
import hmac
import io
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from functions.auth.errors import InvalidCredentials, TooManyAttempts
from functions.auth.login import PasswordProof, reauthenticate, record_failure, require_passkey
from functions.auth.login_throttle import SLOW_WINDOW_S, WINDOW_S, may_notify
from functions.auth.services import AuthServices
from functions.auth.sessions import IssuedTokens, start_session
from parley.auth.client_origin import ClientOrigin
from parley.auth.encryption import TextCipher
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db.accounts import audit, login_throttle, second_factors, users
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.engine import Connection
from parley.db.transactions import global_scope, lock_access, principal_scope, user_scope
from parley.errors import ParleyError
from parley.jobs import AccountNotice, AccountNoticeKind

CHALLENGE_LIFETIME = timedelta(minutes=5)
RECOVERY_CODES = 10
TOTP_DIGITS = 6
_PREFIX = "pch_"
_FORM = struct.Struct(">16sQ16s")  # user id, expiry, digest of the password hash
_MAC_BYTES = 32
_SKIPPED = str.maketrans("", "", " -")


class SecondFactorOn(ParleyError):
    """The account has a second factor already."""

    status, code = 409, "second_factor_on"
    public_message = "Your account has a second factor. Remove it first."


class InvalidSecondFactor(ParleyError):
    """The code is wrong, was used before, or belongs to an enrolment that was not begun; or the login is older than five minutes."""

    status, code = 403, "invalid_second_factor"
    public_message = "The code is wrong or was used before. Wait for the next one, or log in again."


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret for an authenticator app. It counts once a code of it has been confirmed. `qr_svg` shows `uri` as a QR code."""

    secret: str
    uri: str
    qr_svg: str


def begin(services: AuthServices, principal: Principal, *, password: str | None, origin: ClientOrigin) -> Enrolment:
    """Store a new secret, which replaces an unconfirmed one.

    Raises SecondFactorOn, PasskeyNeeded and the errors of `reauthenticate`, and Unauthorized if the session has ended meanwhile.
    """
    import pyotp

    user, proof = reauthenticate(services, principal, password, origin=origin)
    secret = pyotp.random_base32()
    encrypted = _cipher(services).encrypt(secret, context=_context(user.id))
    with principal_scope(services.engine, principal) as connection:
        lock_access(connection, principal)
        require_passkey(services, connection, principal)
        if not second_factors.begin(connection, user_id=user.id, secret=encrypted):
            raise SecondFactorOn(str(user.id))
        login_throttle.reset(connection, proof.buckets.account_keys)
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="Parley")
    return Enrolment(secret, uri, _draw_qr_code(uri))


def confirm(services: AuthServices, principal: Principal, *, code: str, origin: ClientOrigin) -> list[str]:
    """Turn the second factor on, end the user's other sessions, queue a mail, and return the recovery codes, which are shown once.

    Raises InvalidSecondFactor, PasskeyNeeded and TooManyAttempts, and Unauthorized if the session has ended meanwhile.
    """
    _count(services, principal.user_id)
    with principal_scope(services.engine, principal) as connection:
        # Alone: a login that began without the factor either is ended below, or waits and is refused.
        lock_access(connection, principal, is_exclusive=True)
        require_passkey(services, connection, principal)
        factor = second_factors.find(connection, user_id=principal.user_id)
        if factor is None or factor.confirmed_at or not _is_next(services, connection, factor, principal.user_id, code):
            raise InvalidSecondFactor(f"enrolment of {principal.user_id}")
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        second_factors.confirm(connection, user_id=principal.user_id, session_id=principal.session_id, hashes=[_hash(one) for one in codes])
        login_throttle.reset(connection, [_bucket(services, principal.user_id).key])
        audit.add(connection, principal.user_id, "second_factor_on", origin)
        email = users.get(connection, principal.user_id).email
    _notify(services, "second_factor_on", email)
    return codes


def remove(services: AuthServices, principal: Principal, *, password: str | None, code: str, origin: ClientOrigin) -> None:
    """Turn the second factor off, and queue a mail about it.

    Raises InvalidSecondFactor and the errors of `reauthenticate`, and Unauthorized if the session has ended meanwhile.
    """
    user, proof = reauthenticate(services, principal, password, origin=origin)
    _count(services, user.id)
    with principal_scope(services.engine, principal) as connection:
        lock_access(connection, principal, is_exclusive=True)
        _check(services, code, connection, user.id)
        second_factors.remove(connection, user_id=user.id)
        login_throttle.reset(connection, [_bucket(services, user.id).key, *proof.buckets.account_keys])
        audit.add(connection, user.id, "second_factor_off", origin)
    _notify(services, "second_factor_off", user.email)


def _notify(services: AuthServices, notice: AccountNoticeKind, email: str) -> None:
    if may_notify(services.background, email):
        services.queue.send_later(AccountNotice(notice, to=email))


def challenge(services: AuthServices, proof: PasswordProof) -> str:
    """Return the token that a right password earns, for five minutes and until the password changes.

    With a code or a passkey, it starts a session.
    """
    expires_s = int((utc_now() + CHALLENGE_LIFETIME).timestamp())
    payload = _FORM.pack(proof.user_id.bytes, expires_s, _digest(proof.password_hash))
    return _PREFIX + base64.urlsafe_b64encode(_mac(services, payload) + payload).decode()


def user_of(services: AuthServices, challenge: str) -> UUID:
    """Return the account of a challenge. Raises InvalidSecondFactor."""
    return _read(services, challenge)[0]


def log_in(services: AuthServices, *, challenge: str, code: str, origin: ClientOrigin) -> IssuedTokens:
    """Start a session with a challenge and a code. Raises InvalidSecondFactor, InvalidCredentials and TooManyAttempts."""
    user_id = user_of(services, challenge)
    try:
        return log_in_by(services, challenge, partial(_check, services, code), origin)
    except InvalidSecondFactor:
        record_failure(services, user_id, origin)
        raise


def log_in_by(services: AuthServices, challenge: str, check: Callable[[Connection, UUID], None], origin: ClientOrigin) -> IssuedTokens:
    """Start a session with a challenge once `check` has passed for its user.

    Raises InvalidSecondFactor, InvalidCredentials, TooManyAttempts and the errors of `check`.
    """
    user_id, digest = _read(services, challenge)
    _count(services, user_id)
    key_ring = services.key_ring()
    with user_scope(services.engine, user_id) as connection:
        # Before the factor is used up: a reset locks the credentials first too, so that the two cannot deadlock.
        password_hash = users.lock_credentials(connection, user_id)
        if password_hash is None or not hmac.compare_digest(_digest(password_hash), digest):
            raise InvalidCredentials(f"the password of {user_id} was changed during login")
        check(connection, user_id)
        login_throttle.reset(connection, [_bucket(services, user_id).key])
        return start_session(
            connection,
            user_id,
            password_hash,
            key_ring=key_ring,
            lifetimes=services.lifetimes,
            origin=origin,
            # The password was right too. A hundred of these logins would otherwise count as a hundred failures in a row.
            reset_buckets=services.throttle.password_buckets(users.get(connection, user_id).email, origin),
            has_second_factor=True,
        )


def _check(services: AuthServices, code: str, connection: Connection, user_id: UUID) -> None:
    """Use up a code of the app or a recovery code. Raises InvalidSecondFactor."""
    text = code.translate(_SKIPPED)
    if len(text) == TOTP_DIGITS:
        factor = second_factors.find(connection, user_id=user_id)
        if factor is not None and factor.confirmed_at and _is_next(services, connection, factor, user_id, text):
            return
    elif second_factors.use_recovery_code(connection, _hash(text), user_id=user_id):
        return
    raise InvalidSecondFactor(f"wrong code of {user_id}")


def _is_next(services: AuthServices, connection: Connection, factor: second_factors.SecondFactor, user_id: UUID, code: str) -> bool:
    """Return whether the code is of this step or a neighbour, and of a later step than all codes before."""
    import pyotp
    from pyotp.exceptions import OTPVerificationError

    totp = pyotp.TOTP(_cipher(services).decrypt(factor.secret, context=_context(user_id)))
    try:
        step = totp.verify_and_get_timecode(code.translate(_SKIPPED), for_time=utc_now(), valid_window=1)
    except OTPVerificationError:
        return False
    return second_factors.advance(connection, user_id=user_id, step=step)


def _count(services: AuthServices, user_id: UUID) -> None:
    """Count an attempt at the user's codes. Raises TooManyAttempts."""
    with global_scope(services.background) as connection:
        wait_s = login_throttle.take(connection, [_bucket(services, user_id)])
    if wait_s is not None:
        raise TooManyAttempts(wait_s)


def _bucket(services: AuthServices, user_id: UUID) -> ThrottleBucket:
    return ThrottleBucket.of("second factor", str(user_id), burst=services.throttle.per_account, window_s=WINDOW_S, slow_s=SLOW_WINDOW_S)


def _cipher(services: AuthServices) -> TextCipher:
    return TextCipher(lambda: hmac.digest(services.key_ring().refresh_secret, b"second factor", "sha256"))


def _draw_qr_code(text: str) -> str:
    """Return a QR code as an SVG document without a size. It is black on white also in a dark page, which many cameras need."""
    import segno

    picture = io.BytesIO()
    code = segno.make_qr(text)
    code.save(picture, kind="svg", light="#fff", svgclass=None, lineclass=None, omitsize=True, xmldecl=False, nl=False)
    return picture.getvalue().decode()


def _context(user_id: UUID) -> str:
    return f"second factor of {user_id}"


def _recovery_code() -> str:
    letters = base64.b32encode(secrets.token_bytes(15)).decode()
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def _hash(recovery_code: str) -> bytes:
    return hashlib.sha256(recovery_code.translate(_SKIPPED).upper().encode()).digest()


def _digest(password_hash: str) -> bytes:
    return hashlib.sha256(password_hash.encode()).digest()[:16]


def _mac(services: AuthServices, payload: bytes) -> bytes:
    return hmac.digest(services.key_ring().refresh_secret, b"challenge " + payload, "sha256")


def _read(services: AuthServices, challenge: str) -> tuple[UUID, bytes]:
    """Return the user and the digest of the password hash in a challenge. Raises InvalidSecondFactor."""
    try:
        raw = base64.b64decode(challenge.removeprefix(_PREFIX), altchars=b"-_", validate=True)
    except ValueError as exc:
        raise InvalidSecondFactor("malformed challenge") from exc
    mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if len(payload) != _FORM.size or not hmac.compare_digest(mac, _mac(services, payload)):
        raise InvalidSecondFactor("challenge of another server")
    user_id, expires_s, digest = _FORM.unpack(payload)
    if expires_s <= utc_now().timestamp():
        raise InvalidSecondFactor("expired challenge")
    return UUID(bytes=user_id), digest
