"""What mails say, and to whom they never go."""

from datetime import timedelta
from uuid import uuid4

import pytest

from functions.upkeep.email_templates import EmailTemplates
from functions.upkeep.mailer import _ses_address
from parley.auth.one_time_codes import OneTimeCode

LIFETIME = timedelta(minutes=10)


def test_of_several_sign_ups_none_is_said_to_be_the_only_one_that_works():
    email_templates, code = EmailTemplates(""), OneTimeCode.new(uuid4())

    assert "only the newest works" not in email_templates.sign_up(code, lifetime=LIFETIME).text
    assert "only the newest works" in email_templates.reset_password(code, lifetime=LIFETIME).text


@pytest.mark.parametrize("address", [".a@example.com", "a.@example.com", "a..b@example.com", "a@b@example.com"])
def test_an_address_that_mail_servers_refuse_makes_no_message_fail(address):
    assert _ses_address(address) is None


def test_dots_between_words_are_well():
    assert _ses_address("ada.m.lovelace+x@example.com") == "ada.m.lovelace+x@example.com"
