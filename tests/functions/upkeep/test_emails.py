import secrets
from dataclasses import replace
from datetime import timedelta
from typing import get_args
from uuid import UUID

import pytest

from parley.db.accounts import one_time_codes, signups, users
from parley.db.accounts.signups import Signup
from parley.db.transactions import global_scope, user_scope
from parley.ids import new_id
from parley.jobs import AccountNotice, AccountNoticeKind, ChangeEmail, GroupInvitation, ResetPassword, SignUp
from tests.support.queues import emails_to, sent_emails


def address():
    return f"{secrets.token_hex(6)}@example.com"


@pytest.fixture
def sign_up(engines):
    """Store a sign-up and return it."""

    def sign_up(email, *, display_name=None, lifetime=timedelta(hours=1)):
        signup = Signup(new_id(), email, display_name, "a hash", None)
        with global_scope(engines["background"]) as connection:
            signups.add(connection, signup, lifetime=lifetime)
        return signup

    return sign_up


def found_by(engines, signup, code):
    with global_scope(engines["background"]) as connection:
        return signups.find(connection, signup.id, email=signup.email, code_hash=code.hash)


def redeemed(engine, code, purpose):
    with user_scope(engine, code.owner_id) as connection:
        return one_time_codes.redeem(connection, code.hash, user_id=code.owner_id, purpose=purpose)


def test_a_sign_up_gets_a_code_that_confirms_it(upkeep, engines, sign_up):
    signup = sign_up(address())
    assert upkeep.deliver(SignUp(signup.id)) == []
    (mail,) = emails_to(signup.email)

    assert mail.code.owner_id == signup.id
    assert found_by(engines, signup, mail.code) == signup


def test_a_sign_up_with_an_existing_account_gets_a_hint_and_no_code(upkeep, sign_up, alice):
    upkeep.deliver(SignUp(sign_up(alice.email).id))
    (mail,) = emails_to(alice.email)

    assert mail.subject == "You already have an account"
    assert "forgot password" in mail.text


def test_an_address_whose_account_is_disabled_gets_no_code(upkeep, engines, sign_up, alice):
    with user_scope(engines["app"], alice.id) as connection:
        users.disable(connection, alice.id)
    upkeep.deliver(SignUp(sign_up(alice.email).id))

    assert [mail.subject for mail in emails_to(alice.email)] == ["You already have an account"]


def test_after_a_second_delivery_only_the_second_code_works(upkeep, engines, sign_up):
    signup = sign_up(address())
    upkeep.deliver(SignUp(signup.id), SignUp(signup.id))
    first, second = emails_to(signup.email)

    assert found_by(engines, signup, first.code) is None
    assert found_by(engines, signup, second.code) == signup


def test_an_expired_sign_up_gets_no_email(upkeep, sign_up):
    signup = sign_up(address(), lifetime=timedelta(seconds=-1))

    assert upkeep.deliver(SignUp(signup.id), SignUp(UUID(int=0))) == []
    assert emails_to(signup.email) == []


def test_a_reset_code_works_once_and_only_for_its_purpose(upkeep, engine, alice):
    upkeep.deliver(ResetPassword(alice.email))
    (mail,) = emails_to(alice.email)

    assert mail.code.owner_id == alice.id
    assert redeemed(engine, mail.code, "change_email") is None
    assert redeemed(engine, mail.code, "reset_password") is not None
    assert redeemed(engine, mail.code, "reset_password") is None


def test_an_unknown_address_gets_no_email(upkeep):
    unknown = address()

    assert upkeep.deliver(ResetPassword(unknown)) == []
    assert emails_to(unknown) == []


def test_a_disabled_user_cannot_reset_the_password(upkeep, engine, alice):
    with user_scope(engine, alice.id) as connection:
        users.disable(connection, alice.id)

    assert upkeep.deliver(ResetPassword(alice.email)) == []
    assert emails_to(alice.email) == []


def test_the_new_address_gets_the_code_and_the_old_one_a_warning(upkeep, engine, alice):
    new = address()
    upkeep.deliver(ChangeEmail(alice.id, new))
    (proof,), (warning,) = emails_to(new), emails_to(alice.email)

    assert redeemed(engine, proof.code, "change_email").new_email == new
    assert str(proof.code) not in warning.text
    assert new not in warning.text


def test_an_address_that_is_taken_gets_no_code_and_no_name(upkeep, alice, bob):
    upkeep.deliver(ChangeEmail(alice.id, bob.email))
    (mail,) = emails_to(bob.email)

    assert mail.subject == "This email address has an account"
    assert alice.email not in mail.text
    assert emails_to(alice.email) == []


def test_a_deleted_user_gets_no_email(upkeep):
    new = address()

    assert upkeep.deliver(ChangeEmail(new_id(), new)) == []
    assert emails_to(new) == []


@pytest.mark.parametrize("notice", get_args(AccountNoticeKind.__value__))
def test_a_notification_says_what_to_do(upkeep, notice):
    to = address()
    upkeep.deliver(AccountNotice(notice, to=to))
    (mail,) = emails_to(to)

    assert "If this was not you" in mail.text


def test_a_notification_of_a_second_factor_does_not_advise_the_password_that_it_outlasts(upkeep):
    to = address()
    upkeep.deliver(AccountNotice("second_factor_on", to=to))
    (mail,) = emails_to(to)

    assert "contact the operator" in mail.text
    assert "forgot password" not in mail.text


def test_an_invited_address_is_told_where_to_join(upkeep):
    to = address()
    upkeep.deliver(GroupInvitation(to))
    (mail,) = emails_to(to)

    assert mail.subject == "You are invited to a group"
    assert "open your groups" in mail.text
    assert "https://chat.example.com" in mail.text


@pytest.mark.parametrize("job", [AccountNotice("password_reset", to=""), AccountNotice("password_changed_keys_revoked", to="")])
def test_a_notification_says_that_api_keys_were_revoked(upkeep, job):
    to = address()
    upkeep.deliver(replace(job, to=to))
    (mail,) = emails_to(to)

    assert "All API keys were revoked" in mail.text


def test_a_reset_code_comes_with_a_warning_that_api_keys_end(upkeep, alice):
    upkeep.deliver(ResetPassword(alice.email))
    (mail,) = emails_to(alice.email)

    assert "ends all sessions and revokes all API keys" in mail.text


def test_an_email_names_its_origin_and_the_lifetime_of_its_code(upkeep, alice):
    upkeep.deliver(ResetPassword(alice.email))
    (mail,) = emails_to(alice.email)

    assert mail.sender == "parley@example.com"
    assert "10 minutes" in mail.text
    assert "https://chat.example.com" in mail.text


def test_no_email_contains_text_chosen_by_a_stranger(upkeep, sign_up):
    signup = sign_up(address(), display_name="Win at evil.example now")
    upkeep.deliver(SignUp(signup.id))
    (mail,) = emails_to(signup.email)

    assert "evil" not in mail.subject + mail.text


@pytest.mark.parametrize(
    "to",
    [
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com,b@example.com",
        "a,b@example.com",
        "Ada <a@example.com>",
        '"a b"@example.com',
        "ä@example.com",
        "a@.example.com",
    ],
)
def test_anything_but_one_plain_address_gets_no_email(upkeep, to):
    before = sent_emails()

    assert upkeep.deliver(AccountNotice("new_api_key", to=to)) == []
    assert sent_emails() == before


def test_an_international_domain_is_sent_in_punycode(upkeep):
    upkeep.deliver(AccountNotice("new_api_key", to="a@bücher.example"))

    assert emails_to("a@xn--bcher-kva.example")
