"""The text of emails, and addresses that are rejected."""

from datetime import timedelta
from uuid import uuid4

import pytest

from functions.upkeep.email_templates import EmailTemplates
from functions.upkeep.mailer import _ses_address
from parley.auth.one_time_codes import OneTimeCode

LIFETIME = timedelta(minutes=10)


def test_a_sign_up_email_does_not_claim_that_only_the_newest_code_works():
    email_templates, code = EmailTemplates(""), OneTimeCode.new(uuid4())

    assert "only the newest works" not in email_templates.sign_up(code, lifetime=LIFETIME).text
    assert "only the newest works" in email_templates.reset_password(code, lifetime=LIFETIME).text


@pytest.mark.parametrize("address", [".a@example.com", "a.@example.com", "a..b@example.com", "a@b@example.com"])
def test_addresses_that_ses_never_accepts_are_rejected(address):
    assert _ses_address(address) is None


def test_dots_between_atoms_are_accepted():
    assert _ses_address("ada.m.lovelace+x@example.com") == "ada.m.lovelace+x@example.com"
