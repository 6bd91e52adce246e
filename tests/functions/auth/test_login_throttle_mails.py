"""Limits of mails: to an address, from a network, and about invitations."""

import secrets
from uuid import uuid4

import pytest

from functions.auth.login_throttle import may_invite_by_mail, may_mail, may_notify
from parley.auth.client_origin import ClientOrigin


@pytest.fixture
def background(engines):
    return engines["background"]


@pytest.fixture
def address():
    """An address that was never mailed."""
    return f"{secrets.token_hex(6)}@example.com"


def network(number):
    return ClientOrigin(f"198.51.100.{number}")


def test_an_address_is_mailed_three_times_for_each_network_and_twelve_times_in_all(background, address):
    assert [may_mail(background, address, network(1)) for _ in range(4)] == [True] * 3 + [False]

    others = [may_mail(background, address, network(number)) for number in range(2, 6) for _ in range(3)]
    assert others == [True] * 9 + [False] * 3


def test_an_address_is_notified_twelve_times(background, address):
    assert [may_notify(background, address) for _ in range(13)] == [True] * 12 + [False]


def test_a_user_causes_fifty_mails_about_invitations(background, address):
    inviter = uuid4()

    assert [may_invite_by_mail(background, f"{number}{address}", inviter) for number in range(51)] == [True] * 50 + [False]
