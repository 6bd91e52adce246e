"""Passkeys: adding one, signing in with it instead of the password or after it, and the answers that are refused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.auth.passkeys import passkeys as own_passkeys
from functions.auth.passkeys.passkeys import MAX_PASSKEYS
from functions.auth.passkeys.relying_party import RelyingParty, VerifiedCredential
from parley.db.accounts import passkeys
from parley.db.accounts.passkeys import Credential
from parley.db.transactions import user_scope
from parley.jobs import AccountNotice
from tests.functions.auth import test_second_factor as second_factor
from tests.functions.auth.authenticator import BACKED_UP, BACKUP_ELIGIBLE, PRESENT, VERIFIED, Authenticator
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import closing_engine, meet_after, outcomes

REFUSED = (403, "invalid_passkey")


def problem(answer):
    return answer.status, answer.json["code"]


def begin(auth, person):
    answer = auth.post("/auth/passkeys/begin", {"password": PASSWORD}, as_=person)
    assert answer.status == 200, answer.body
    return answer.json["public_key"]


def add(auth, person, authenticator, options=None):
    credential = authenticator.create(options or begin(auth, person))
    return auth.post("/auth/passkeys", {"name": "Laptop", "credential": credential}, as_=person)


def sign_in_options(auth, **fields):
    answer = auth.post("/auth/login/passkey/begin", fields)
    assert answer.status == 200, answer.body
    return answer.json["public_key"]


def sign_in(auth, authenticator, options=None, **fields):
    credential = authenticator.sign(options or sign_in_options(auth, **fields))
    return auth.post("/auth/login/passkey", {"credential": credential} | fields)


@pytest.fixture
def device(auth, alice):
    """The authenticator with alice's passkey."""
    authenticator = Authenticator()
    assert add(auth, alice, authenticator).status == 201
    return authenticator


@pytest.fixture
def challenge(auth, device, alice, clock):
    """The challenge that alice's password earns, as she has an authenticator app too."""
    app = second_factor.Authenticator(auth, alice, clock)
    app.confirm(app.code())
    return app.challenge()


def test_a_passkey_signs_in_without_the_password(auth, device, alice):
    answer = sign_in(auth, device)

    assert (answer.status, answer.json["user"]["email"]) == (200, alice.email)
    (shown,) = auth.get("/auth/passkeys", as_=Person.of(alice.email, answer.json)).json["items"]
    assert (shown["name"], shown["is_backed_up"], shown["last_used_at"] is None) == ("Laptop", False, False)


def test_the_options_name_the_configured_site_whatever_the_host(auth, alice):
    forged = {"Host": "evil.example.org"}
    found = auth.post("/auth/passkeys/begin", {"password": PASSWORD}, as_=alice, headers=forged).json["public_key"]

    assert (found["rp"]["id"], found["authenticatorSelection"]["userVerification"]) == ("example.com", "required")
    assert auth.post("/auth/login/passkey/begin", {}, headers=forged).json["public_key"]["rpId"] == "example.com"


def test_an_answer_works_once(auth, device):
    credential = device.sign(sign_in_options(auth))
    answers = [auth.post("/auth/login/passkey", {"credential": credential}) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 403]


def test_a_challenge_expires(auth, device, clock):
    options = sign_in_options(auth)
    clock.shift(timedelta(minutes=5))

    assert problem(sign_in(auth, device, options)) == REFUSED


LIES = {
    "another origin": {"origin": "https://evil.example.org"},
    "another page of the domain": {"origin": "https://blog.example.com"},
    "no TLS": {"origin": "http://chat.example.com"},
    "a frame": {"is_framed": True},
    "another site's passkey": {"rp_id": "example.org"},
    "an unverified user": {"flags": PRESENT},
    "an absent user": {"flags": VERIFIED},
    "a challenge of its own": {"challenge": b"a challenge of its own, 32 bytes"},
}


SIGNATURE_LIES = LIES | {"another ceremony": {"kind": "webauthn.create"}, "another key": {"key": Authenticator().key}}
NEW_LIES = LIES | {"another ceremony": {"kind": "webauthn.get"}, "SHA-1": {"algorithm": -65535}, "no algorithm": {"algorithm": 0}}


@pytest.mark.parametrize("lie", SIGNATURE_LIES)
def test_a_signature_that_lies_is_refused(auth, device, lie):
    assert problem(sign_in(auth, replace(device, **SIGNATURE_LIES[lie]))) == REFUSED
    assert sign_in(auth, device).status == 200


@pytest.mark.parametrize("lie", NEW_LIES)
def test_a_new_passkey_that_lies_is_refused(auth, alice, lie):
    assert problem(add(auth, alice, Authenticator(**NEW_LIES[lie]))) == REFUSED
    assert auth.get("/auth/passkeys", as_=alice).json["items"] == []


@pytest.mark.parametrize("attestation", ["AA", "oA", "oWhhdXRoRGF0YQE", "gYGBgYGB", "A" * 300])
def test_a_malformed_attestation_is_refused(auth, alice, attestation):
    credential = Authenticator().create(begin(auth, alice))
    credential["response"]["attestationObject"] = attestation

    assert problem(auth.post("/auth/passkeys", {"name": "Laptop", "credential": credential}, as_=alice)) == REFUSED


def test_an_attestation_is_not_read(auth, alice):
    attestation = {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x", "x5c": [b"no certificate"]}}

    assert add(auth, alice, Authenticator(attestation=attestation)).status == 201


def test_a_challenge_is_for_one_account(auth, alice, bob):
    assert problem(add(auth, alice, Authenticator(), begin(auth, bob))) == REFUSED


def test_a_challenge_is_for_one_purpose(auth, device, alice, challenge):
    assert problem(sign_in(auth, device, begin(auth, alice))) == REFUSED
    assert problem(sign_in(auth, device, sign_in_options(auth, challenge=challenge))) == REFUSED
    assert problem(sign_in(auth, device, sign_in_options(auth), challenge=challenge)) == REFUSED
    assert problem(sign_in(auth, device, begin(auth, alice), challenge=challenge)) == REFUSED


def test_another_users_passkey_opens_no_account(auth, device, alice, bob):
    other = Authenticator()
    add(auth, bob, other)

    assert problem(sign_in(auth, replace(other, user_handle=alice.id.bytes))) == REFUSED
    assert problem(sign_in(auth, replace(other, credential_id=device.credential_id))) == REFUSED
    assert problem(sign_in(auth, replace(other, credential_id=device.credential_id, user_handle=alice.id.bytes))) == REFUSED


@pytest.mark.parametrize("handle", [None, b"x", b"\0" * 16])
def test_a_passkey_that_names_no_account_is_refused(auth, device, handle):
    assert problem(sign_in(auth, replace(device, user_handle=handle))) == REFUSED


def test_a_count_that_does_not_grow_is_refused_and_audited(auth, alice):
    device = Authenticator(step=1)
    add(auth, alice, device)
    clone = replace(device)
    assert [sign_in(auth, device).status for _ in range(2)] == [200, 200]

    assert [problem(sign_in(auth, clone)) for _ in range(2)] == [REFUSED] * 2
    events = [event["event"] for event in auth.get("/auth/audit", as_=alice).json["items"]]
    assert events[:4] == ["passkey_cloned", "passkey_cloned", "login", "login"]
    assert sign_in(auth, device).status == 200


def test_a_copied_passkey_says_so(auth, device, alice):
    sign_in(auth, replace(device, flags=PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP))

    assert auth.get("/auth/passkeys", as_=alice).json["items"][0]["is_backed_up"]


def test_a_passkey_replaces_the_code(auth, device, challenge, alice):
    allowed = sign_in_options(auth, challenge=challenge)["allowCredentials"]
    answer = sign_in(auth, replace(device, user_handle=None), challenge=challenge)

    assert [one["transports"] for one in allowed] == [["internal"]]
    assert (answer.status, answer.json["user"]["email"]) == (200, alice.email)


def test_the_second_step_takes_a_passkey_of_the_account_only(auth, challenge, bob):
    other = Authenticator()
    add(auth, bob, other)

    assert problem(sign_in(auth, other, challenge=challenge)) == REFUSED
    assert problem(sign_in(auth, replace(other, user_handle=None), challenge=challenge)) == REFUSED


def test_signatures_after_a_password_are_throttled_as_codes_are(auth, device, challenge):
    liar = replace(device, key=Authenticator().key)

    assert [sign_in(auth, liar, challenge=challenge).status for _ in range(11)] == [403] * 10 + [429]


def test_an_account_without_passkeys_needs_the_code(auth, alice, clock):
    app = second_factor.Authenticator(auth, alice, clock)
    app.confirm(app.code())

    assert problem(auth.post("/auth/login/passkey/begin", {"challenge": app.challenge()})) == (409, "no_passkey")


def test_adding_and_removing_need_the_password(auth, device, alice):
    id = auth.get("/auth/passkeys", as_=alice).json["items"][0]["id"]
    without, wrong = {}, {"password": "not the pass phrase"}

    assert problem(auth.post("/auth/passkeys/begin", without, as_=alice)) == (422, "login_too_old")
    assert problem(auth.post("/auth/passkeys/begin", wrong, as_=alice)) == (403, "wrong_password")
    assert problem(auth.delete(f"/auth/passkeys/{id}", body=without, as_=alice)) == (422, "login_too_old")
    assert problem(auth.delete(f"/auth/passkeys/{id}", body=wrong, as_=alice)) == (403, "wrong_password")


def test_a_removed_passkey_signs_nobody_in(auth, device, alice):
    id = auth.get("/auth/passkeys", as_=alice).json["items"][0]["id"]
    assert auth.delete(f"/auth/passkeys/{id}", body={"password": PASSWORD}, as_=alice).status == 204

    assert problem(sign_in(auth, device)) == REFUSED


def test_a_passkey_is_renamed(auth, device, alice):
    id = auth.get("/auth/passkeys", as_=alice).json["items"][0]["id"]

    assert auth.patch(f"/auth/passkeys/{id}", {"name": "Telephone"}, as_=alice).json["name"] == "Telephone"


def test_a_new_passkey_is_announced_by_mail_and_in_the_log(auth, alice, queued):
    add(auth, alice, Authenticator())

    assert queued() == [AccountNotice("new_passkey", to=alice.email)]
    assert auth.get("/auth/audit?limit=1", as_=alice).json["items"][0]["event"] == "passkey_added"


def test_a_passkey_is_stored_once(auth, device, alice):
    options = begin(auth, alice)

    assert [one["type"] for one in options["excludeCredentials"]] == ["public-key"]
    assert problem(add(auth, alice, device, options)) == (409, "passkey_known")


def store(connection, alice, number):
    verified = VerifiedCredential(Credential(b"%d" % number, b"key", 0, []), is_backed_up=False)
    return own_passkeys.store(connection, alice.id, "Laptop", verified)


def test_two_concurrent_requests_for_the_last_passkey_add_one(auth, alice, database, engine, monkeypatch):
    with user_scope(engine, alice.id) as connection:
        for number in range(MAX_PASSKEYS - 1):
            store(connection, alice, number)
    meet_after(monkeypatch, passkeys, "credentials")

    def race(number):
        with closing_engine(database) as own, user_scope(own, alice.id) as connection:
            return store(connection, alice, number)

    found = outcomes([lambda: race(10), lambda: race(11)])
    assert sorted(type(one).__name__ for one in found) == ["Passkey", "TooManyPasskeys"]


def test_a_password_change_keeps_the_passkeys(auth, device, alice):
    changed = {"current_password": PASSWORD, "new_password": "another long pass phrase"}
    assert auth.post("/auth/password", changed, as_=alice).status == 204

    assert sign_in(auth, device).status == 200


def test_a_disabled_account_signs_in_by_no_passkey(auth, device, alice, postgres):
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert sign_in(auth, device).status == 401


def test_an_admin_signs_in_strongly_by_a_passkey(auth, admin, change_services):
    from functions.auth.app import services

    change_services(lifetimes=replace(services.lifetimes, admins_need_factor=True))
    device = Authenticator()
    add(auth, admin, device)
    weak, strong = Person.signed_in(auth, admin.email), Person.of(admin.email, sign_in(auth, device).json)

    assert [auth.get("/admin/users", as_=one).status for one in (weak, strong)] == [403, 200]


def test_a_deployment_without_a_relying_party_has_no_passkeys(auth, alice, change_services):
    assert auth.get("/auth/oidc").json["passkey_rp_id"] == "example.com"
    change_services(relying_party=None)

    assert auth.get("/auth/oidc").json["passkey_rp_id"] is None
    assert problem(auth.post("/auth/login/passkey/begin", {})) == (403, "passkeys_off")
    assert problem(auth.post("/auth/passkeys/begin", {"password": PASSWORD}, as_=alice)) == (403, "passkeys_off")


@pytest.mark.parametrize("origins", ["http://example.com", "https://example.org", "https://notexample.com", "example.com"])
def test_an_origin_outside_the_domain_is_a_mistake_of_the_operator(origins):
    with pytest.raises(ValueError, match="PasskeyOrigins"):
        RelyingParty.of("example.com", origins)


@pytest.mark.parametrize("origin", ["https://Example.com", "https://example.com:443", "https://example.com/", "https://me@example.com"])
def test_an_origin_that_no_browser_sends_is_a_mistake_of_the_operator(origin):
    with pytest.raises(ValueError, match="as browsers send it: https://example.com$"):
        RelyingParty.of("example.com", origin)


def test_the_domain_itself_is_the_default_origin():
    assert RelyingParty.of("example.com", "") == RelyingParty("example.com", frozenset({"https://example.com"}))
    assert RelyingParty.of("localhost", "http://localhost:3000") is not None
