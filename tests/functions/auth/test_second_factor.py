"""The second factor: enrolment, the second step of a login, replay, recovery codes, and admins who must have one."""

import base64
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from functions.auth.passwords import Passwords
from parley.clock import utc_now
from parley.jobs import AccountNotice
from tests.functions.auth.refresh_tokens import refresh
from tests.support import qr_codes
from tests.support.api_gateway import PASSWORD, Person

STEP = timedelta(seconds=30)


class Authenticator:
    """A user's app. Each code is of a new time step."""

    def __init__(self, auth, person, clock):
        self.auth, self.person, self.clock = auth, person, clock
        answer = auth.post("/auth/second-factor", {"password": PASSWORD}, as_=person)
        assert answer.status == 201, answer.body
        self.enrolment = answer.json
        self.totp = pyotp.TOTP(answer.json["secret"])

    def code(self):
        self.clock.shift(STEP)
        return self.totp.at(utc_now())

    def confirm(self, code):
        return self.auth.post("/auth/second-factor/confirm", {"code": code}, as_=self.person)

    def challenge(self):
        answer = self.auth.post("/auth/login", {"email": self.person.email, "password": PASSWORD})
        assert (answer.status, answer.json["status"]) == (202, "second_factor_required")
        return answer.json["challenge"]

    def log_in(self, code, challenge=None):
        return self.auth.post("/auth/login/second-factor", {"challenge": challenge or self.challenge(), "code": code})


@pytest.fixture
def app(auth, alice, clock):
    """The app of a user who has begun to enrol."""
    return Authenticator(auth, alice, clock)


@pytest.fixture
def recovery_codes(app):
    """The recovery codes of the user, whose app is confirmed."""
    return app.confirm(app.code()).json["recovery_codes"]


def problem(answer):
    return answer.status, answer.json["code"]


def test_an_enrolment_counts_only_once_it_is_confirmed(auth, app, alice):
    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 200
    assert problem(app.confirm("000000")) == (403, "invalid_second_factor")
    assert auth.get("/auth/second-factor", as_=alice).json == {"enabled": False, "recovery_codes_left": 0}

    assert len(app.confirm(app.code()).json["recovery_codes"]) == 10
    assert auth.get("/auth/second-factor", as_=alice).json == {"enabled": True, "recovery_codes_left": 10}


def test_the_qr_code_holds_the_address_for_the_app(app, alice):
    address = qr_codes.read_svg(app.enrolment["qr_svg"])

    assert address == app.enrolment["uri"]
    assert app.enrolment["qr_svg"].startswith("<svg")  # an element for a page, without an XML declaration
    scanned = pyotp.parse_uri(address)
    assert (scanned.secret, scanned.name, scanned.issuer) == (app.totp.secret, alice.email, "Parley")


def test_a_login_needs_the_code(app, recovery_codes):
    assert problem(app.log_in("000000")) == (403, "invalid_second_factor")
    assert app.log_in(app.code()).status == 200


def test_a_user_who_logs_in_again_and_again_is_not_throttled(app, recovery_codes):
    assert [app.log_in(app.code()).status for _ in range(12)] == [200] * 12


def test_a_login_with_a_code_reports_the_failures_before_it_and_forgets_them(auth, app, recovery_codes, alice):
    bad = {"email": alice.email, "password": "not the pass phrase"}
    assert [auth.post("/auth/login", bad).status for _ in range(3)] == [401] * 3
    assert app.log_in(app.code()).status == 200
    assert app.log_in(app.code()).status == 200

    events = auth.get("/auth/audit?limit=2", as_=alice).json["items"]
    assert [event["detail"]["failed_before"] for event in events] == [0, 3]


def test_a_right_password_without_a_code_forgets_no_failures(auth, app, recovery_codes, alice):
    for _ in range(2):
        app.challenge()
    bad = {"email": alice.email, "password": "not the pass phrase"}

    assert [auth.post("/auth/login", bad).status for _ in range(9)] == [401] * 8 + [429]


def test_a_user_who_adds_and_removes_an_app_again_and_again_is_not_throttled(auth, alice, clock):
    def add_and_remove():
        app = Authenticator(auth, alice, clock)
        assert app.confirm(app.code()).status == 200
        return auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": app.code()}, as_=alice).status

    assert [add_and_remove() for _ in range(6)] == [204] * 6


def test_a_login_with_a_code_renews_the_hash_of_the_password(app, recovery_codes, alice, postgres, change_services):
    change_services(passwords=Passwords(min_length=12, memory_kib=16, passes=2))
    challenge = app.challenge()
    ((stored_hash,),) = postgres.execute(f"SELECT password_hash FROM credentials WHERE user_id = '{alice.id}'", dbname="parley")

    assert stored_hash.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert app.log_in(app.code(), challenge).status == 200
    assert app.log_in(app.code()).status == 200


def test_a_wrong_password_earns_no_challenge(auth, app, recovery_codes, alice):
    assert problem(auth.post("/auth/login", {"email": alice.email, "password": "not the pass phrase"})) == (401, "invalid_credentials")


def test_a_code_works_once(app, recovery_codes):
    code = app.code()

    assert app.log_in(code).status == 200
    assert problem(app.log_in(code)) == (403, "invalid_second_factor")


def test_a_code_of_an_earlier_step_than_the_last_is_refused(app, recovery_codes):
    early, late = app.code(), app.code()

    assert app.log_in(late).status == 200
    assert problem(app.log_in(early)) == (403, "invalid_second_factor")


def test_recovery_codes_have_120_random_bits(recovery_codes):
    letters = {code.replace("-", "") for code in recovery_codes}

    assert len(letters) == 10
    assert {len(base64.b32decode(code)) * 8 for code in letters} == {120}


def test_a_recovery_code_replaces_one_code(auth, app, recovery_codes, alice):
    assert app.log_in(recovery_codes[0].lower()).status == 200
    assert problem(app.log_in(recovery_codes[0])) == (403, "invalid_second_factor")
    assert app.log_in(recovery_codes[1]).status == 200


@pytest.mark.parametrize(("age_s", "outcome"), [(299, (200, None)), (300, (403, "invalid_second_factor"))])
def test_a_challenge_expires(app, recovery_codes, clock, age_s, outcome):
    challenge = app.challenge()
    clock.shift(timedelta(seconds=age_s) - STEP)
    answer = app.log_in(app.code(), challenge)

    assert (answer.status, answer.json.get("code")) == outcome


def test_a_code_is_accepted_for_one_step_before_and_after_its_own(app, recovery_codes, clock):
    early, late = app.totp.at(utc_now() + 2 * STEP), app.totp.at(utc_now() + 3 * STEP)
    clock.shift(4 * STEP)

    assert problem(app.log_in(early)) == (403, "invalid_second_factor")
    assert app.log_in(late).status == 200
    assert problem(app.log_in(app.totp.at(utc_now() + 2 * STEP))) == (403, "invalid_second_factor")
    assert app.log_in(app.totp.at(utc_now() + STEP)).status == 200


@pytest.mark.parametrize("challenge", ["", "pch_", "pch_AAAA", "no base64!"])
def test_a_challenge_of_nobody_is_refused(app, recovery_codes, challenge):
    answer = app.auth.post("/auth/login/second-factor", {"challenge": challenge, "code": app.code()})

    assert problem(answer) == (403, "invalid_second_factor")


def test_a_challenge_with_another_user_in_it_is_refused(app, recovery_codes):
    challenge = app.challenge()
    forged = challenge[:60] + ("A" if challenge[60] != "A" else "B") + challenge[61:]

    assert problem(app.log_in(app.code(), forged)) == (403, "invalid_second_factor")


def test_a_challenge_with_a_letter_that_is_not_of_base64_is_refused(app, recovery_codes):
    challenge = app.challenge()

    assert problem(app.log_in(app.code(), f"{challenge[:60]}!{challenge[60:]}")) == (403, "invalid_second_factor")


def test_a_challenge_dies_with_the_password(auth, app, recovery_codes, alice):
    challenge = app.challenge()
    changed = {"current_password": PASSWORD, "new_password": "another long pass phrase"}
    assert auth.post("/auth/password", changed, as_=alice).status == 204

    assert problem(app.log_in(app.code(), challenge)) == (401, "invalid_credentials")


def test_codes_cannot_be_guessed(app, recovery_codes):
    challenge = app.challenge()
    answers = [app.log_in("000000", challenge) for _ in range(11)]

    assert [answer.status for answer in answers] == [403] * 10 + [429]


def test_enrolment_ends_the_sessions_that_had_no_second_factor(auth, app, alice):
    other = Person.signed_in(auth, alice.email)
    app.confirm(app.code())

    assert (auth.get("/auth/me", as_=other).status, auth.get("/auth/me", as_=alice).status) == (401, 200)


def test_the_factor_is_removed_with_the_password_and_a_code(auth, app, recovery_codes, alice):
    assert auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": "000000"}, as_=alice).status == 403
    assert auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": app.code()}, as_=alice).status == 204
    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 200


def test_the_factor_is_announced_by_mail_when_it_is_added_and_when_it_is_removed(auth, app, alice, queued):
    app.confirm(app.code())
    assert queued() == [AccountNotice("second_factor_on", to=alice.email)]

    assert auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": app.code()}, as_=alice).status == 204
    assert queued() == [AccountNotice("second_factor_off", to=alice.email)]


def test_a_confirmed_factor_is_not_replaced(auth, app, recovery_codes, alice):
    assert problem(auth.post("/auth/second-factor", {"password": PASSWORD}, as_=alice)) == (409, "second_factor_on")


def test_a_confirmed_factor_is_not_confirmed_again(app, recovery_codes):
    assert problem(app.confirm(app.code())) == (403, "invalid_second_factor")
    assert app.log_in(recovery_codes[0]).status == 200


def test_without_an_enrolment_there_is_nothing_to_confirm_or_to_remove(auth, alice):
    assert problem(auth.post("/auth/second-factor/confirm", {"code": "000000"}, as_=alice)) == (403, "invalid_second_factor")
    assert problem(auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": "000000"}, as_=alice)) == (
        403,
        "invalid_second_factor",
    )


def test_a_factor_that_is_not_confirmed_is_not_removed_by_its_code(auth, app, alice):
    answer = auth.delete("/auth/second-factor", body={"password": PASSWORD, "code": app.code()}, as_=alice)

    assert problem(answer) == (403, "invalid_second_factor")


def test_the_secret_is_not_stored_in_clear(app, postgres):
    stored = postgres.execute(f"SELECT secret FROM second_factors WHERE user_id = '{app.person.id}'", dbname="parley")

    assert app.totp.secret.encode() not in bytes(stored[0][0])


@pytest.fixture
def strict(auth, monkeypatch):
    """A deployment whose admins need a second factor."""
    from functions.auth.app import app as asgi

    state = asgi._app.state._state
    lifetimes = replace(state["services"].lifetimes, admins_need_factor=True)
    monkeypatch.setitem(state, "services", replace(state["services"], lifetimes=lifetimes))


def test_an_admin_without_a_second_factor_may_enrol_but_not_administrate(auth, strict, admin, clock):
    weak = Person.signed_in(auth, admin.email)
    assert problem(auth.get("/admin/users", as_=weak)) == (403, "forbidden")
    app = Authenticator(auth, weak, clock)
    app.confirm(app.code())
    strong = Person.of(admin.email, refresh(auth, weak.tokens["refresh_token"]).json)

    assert auth.get("/admin/users", as_=strong).status == 200
    assert auth.get("/admin/users", as_=Person.of(admin.email, app.log_in(app.code()).json)).status == 200
