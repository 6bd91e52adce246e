"""Accounts: registration, login by password or issuer, sessions, API keys, OAuth sign-in of MCP clients, SCIM, and administration."""

from parley.http import cold_start  # isort: split

from datetime import timedelta
from functools import partial
from typing import Literal

from functions.auth.login_throttle import LoginThrottle
from functions.auth.oauth.clients import ClientDirectory
from functions.auth.oauth.errors import respond_with_oauth_error, respond_with_registration_error
from functions.auth.oidc.configuration import parse_issuers
from functions.auth.oidc.issuers import IssuerDirectory
from functions.auth.passkeys.relying_party import RelyingParty
from functions.auth.passwords import Passwords
from functions.auth.registration_policy import RegistrationMode, RegistrationPolicy
from functions.auth.routes import router
from functions.auth.scim.errors import PREFIX as SCIM
from functions.auth.scim.errors import respond_with_scim_error
from functions.auth.services import AuthServices
from functions.auth.sessions import Lifetimes
from parley.auth.key_cache import KeyCache
from parley.auth.key_store import load_keys
from parley.aws.s3 import FileStore
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.jobs import UpkeepQueue
from parley.settings import DatabaseSettings, HttpSettings, KeySettings


class AuthSettings(HttpSettings, DatabaseSettings, KeySettings):
    """The settings of the auth function, read from the environment."""

    issuer: str
    password_min_length: int
    argon_memory_kib: int
    argon_passes: int
    guesses_per_account: int
    guesses_per_address: int
    guesses_per_minute: int
    session_idle_days: int
    session_days: int
    registration: RegistrationMode
    allowed_email_domains: str
    admin_email: str
    email_verification: Literal["on", "off"]
    mail_from: str
    upkeep_queue_url: str
    files_bucket: str
    toolrunner_function: str
    oidc_issuers: str
    password_login: Literal["on", "off"]
    admin_second_factor: Literal["optional", "required"]
    user_second_factor: Literal["optional", "required"]
    passkey_rp_id: str
    passkey_origins: str


settings = AuthSettings.read()
services = AuthServices(
    engine=make_engine(settings),
    background=make_engine(settings, role="background"),
    key_ring=KeyCache(partial(load_keys, settings.keys_path, issuer=settings.issuer)),
    passwords=Passwords(min_length=settings.password_min_length, memory_kib=settings.argon_memory_kib, passes=settings.argon_passes),
    registration_policy=RegistrationPolicy.of(
        settings.registration,
        domains=settings.allowed_email_domains,
        admin_email=settings.admin_email,
        verifies_email=settings.email_verification == "on",
    ),
    throttle=LoginThrottle(
        per_account=settings.guesses_per_account,
        per_address=settings.guesses_per_address,
        per_minute=settings.guesses_per_minute,
    ),
    lifetimes=Lifetimes(
        idle=timedelta(days=settings.session_idle_days),
        absolute=timedelta(days=settings.session_days),
        admins_need_factor=settings.admin_second_factor == "required",
        users_need_factor=settings.user_second_factor == "required",
    ),
    queue=UpkeepQueue(settings.upkeep_queue_url),
    files=FileStore(settings.files_bucket),
    clients=ClientDirectory(settings.toolrunner_function),
    issuers=IssuerDirectory(parse_issuers(settings.oidc_issuers)),
    allows_passwords=settings.password_login == "on",  # noqa: S105 - a switch
    sends_mail=bool(settings.mail_from),
    # Without passwords, only the issuer decides who signs in: a passkey would outlive its user's account there.
    relying_party=None if settings.password_login == "off" else RelyingParty.of(settings.passkey_rp_id, settings.passkey_origins),  # noqa: S105
)
error_responders = {"/oauth/register": respond_with_registration_error, "/oauth/": respond_with_oauth_error, SCIM: respond_with_scim_error}
app = create_app(router, settings=settings, error_responders=error_responders, engine=services.engine, services=services)
handler = buffered_handler(app)
cold_start.finish()
