"""Signatures of web hooks, against the example of Standard Webhooks' reference library."""

import base64
from datetime import UTC, datetime

from parley.auth.webhook_signatures import new_secret, signed_headers

SECRET, MESSAGE_ID, BODY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}'
AT = datetime.fromtimestamp(1614265330, UTC)


def test_a_signature_is_the_reference_librarys():
    headers = signed_headers([SECRET], MESSAGE_ID, BODY, at=AT)

    assert headers == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_has_256_random_bits():
    assert len(base64.b64decode(new_secret().removeprefix("whsec_"))) == 32


def test_each_secret_has_a_signature_of_its_own():
    signatures = signed_headers([SECRET, new_secret()], MESSAGE_ID, BODY, at=AT)["webhook-signature"].split(" ")

    assert signatures[0] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert len(set(signatures)) == 2
