"""Passkeys: how many an account has, the options that browsers receive, and the traces of a refused answer."""

from dataclasses import replace

import pytest

from functions.auth.login_throttle import LoginThrottle
from functions.auth.passkeys.errors import TooManyPasskeys
from functions.auth.passkeys.relying_party import RelyingParty
from parley.db.transactions import user_scope
from tests.functions.auth.authenticator import Authenticator, decoded
from tests.functions.auth.test_passkeys import REFUSED, add, begin, problem, sign_in, sign_in_options, store
from tests.functions.auth.test_second_factor import Authenticator as App
from tests.support.api_gateway import PASSWORD


@pytest.fixture
def device(auth, alice):
    """The authenticator with alice's passkey."""
    authenticator = Authenticator()
    assert add(auth, alice, authenticator).status == 201
    return authenticator


def test_an_account_has_ten_passkeys_at_most(auth, engine, alice):
    with user_scope(engine, alice.id) as connection:
        for number in range(9):
            store(connection, alice, number)
    assert begin(auth, alice)
    with user_scope(engine, alice.id) as connection:
        store(connection, alice, 9)

    assert problem(auth.post("/auth/passkeys/begin", {"password": PASSWORD}, as_=alice)) == (409, "too_many_passkeys")
    with pytest.raises(TooManyPasskeys), user_scope(engine, alice.id) as connection:
        store(connection, alice, 10)


def test_passkeys_are_listed_in_pages(auth, engine, alice):
    with user_scope(engine, alice.id) as connection:
        ids = [str(store(connection, alice, number).id) for number in range(3)]
    first = auth.get("/auth/passkeys?limit=2", as_=alice).json
    second = auth.get(f"/auth/passkeys?limit=2&cursor={first['next_cursor']}", as_=alice).json

    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]


def test_a_browser_is_asked_for_a_passkey_that_names_its_user_and_can_be_found_by_itself(auth, alice):
    options = begin(auth, alice)

    assert (options["user"]["name"], options["user"]["displayName"]) == (alice.email, alice.email)
    assert options["authenticatorSelection"]["requireResidentKey"] is True
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert len(decoded(options["challenge"])) == 32


def test_a_passkey_shows_the_users_display_name(auth, alice):
    auth.patch("/auth/me", {"display_name": "Alice"}, as_=alice)

    assert begin(auth, alice)["user"]["displayName"] == "Alice"


@pytest.mark.parametrize("handle", [None, b"x"])
def test_a_passkey_that_names_no_account_leaves_the_challenge_to_the_right_one(auth, device, handle):
    options = sign_in_options(auth)

    assert problem(sign_in(auth, replace(device, user_handle=handle), options)) == REFUSED
    assert sign_in(auth, device, options).status == 200


def test_a_passkey_that_names_another_account_leaves_the_challenge_to_the_right_one(auth, device, alice, bob, clock):
    app = App(auth, alice, clock)
    app.confirm(app.code())
    challenge = app.challenge()
    options = sign_in_options(auth, challenge=challenge)

    assert problem(sign_in(auth, replace(device, user_handle=bob.id.bytes), options, challenge=challenge)) == REFUSED
    assert sign_in(auth, device, options, challenge=challenge).status == 200


def test_a_challenge_with_letters_that_are_not_of_base64_is_refused(auth, device):
    options = sign_in_options(auth)

    assert problem(sign_in(auth, device, options | {"challenge": f"!!!!{options['challenge']}"})) == REFUSED


def test_a_browser_that_does_not_speak_of_frames_signs_in(auth, device):
    assert sign_in(auth, replace(device, is_framed=None)).status == 200


def test_a_refused_signature_is_in_the_audit_with_the_account_of_a_known_passkey(auth, device, admin, alice):
    path, counts = f"/admin/audit?action=login_failed&account_id={alice.id}", []
    for lie in ({"key": Authenticator().key}, {"credential_id": b"unknown"}):
        assert problem(sign_in(auth, replace(device, **lie))) == REFUSED
        counts.append(len(auth.get(path, as_=admin).json["items"]))

    assert counts == [1, 1]


def test_a_network_begins_ten_logins_by_passkey_for_each_password_that_it_may_guess(auth, change_services, postgres):
    postgres.execute("DELETE FROM guesses", dbname="parley")
    change_services(throttle=LoginThrottle(per_account=1000, per_address=1, per_minute=1000))

    assert [auth.post("/auth/login/passkey/begin", {}).status for _ in range(11)] == [200] * 10 + [429]
    postgres.execute("DELETE FROM guesses", dbname="parley")


@pytest.mark.parametrize(("rp_id", "origin"), [("example.com", "https://example.com:8443"), ("localhost", "http://localhost:443")])
def test_an_origin_may_have_a_port_that_is_not_its_schemes_own(rp_id, origin):
    assert RelyingParty.of(rp_id, origin) == RelyingParty(rp_id, frozenset({origin}))


@pytest.mark.parametrize(("rp_id", "origin"), [("localhost", "http://localhost:80"), ("localhost", "https://localhost:443")])
def test_a_port_that_no_browser_sends_is_a_mistake_of_the_operator(rp_id, origin):
    with pytest.raises(ValueError, match=r"as browsers send it: https?://localhost$"):
        RelyingParty.of(rp_id, origin)


def test_without_a_domain_there_are_no_passkeys():
    assert RelyingParty.of("", "https://example.com") is None
