"""Key rotation on the running stack, by the command line.

Steps that take minutes are tested with a fake clock in tests/functions/authorizer.
"""

import time

from tests.support.time_limits import HANG_S


def published(stack, family="signing"):
    return [key["kid"] for key in stack.http.get("/.well-known/jwks.json").json()["keys"] if key["family"] == family]


def published_until(stack, is_right, *, limit_s=HANG_S):
    ends = time.monotonic() + limit_s
    while not is_right(found := published(stack)) and time.monotonic() < ends:
        time.sleep(0.2)
    return found


def test_a_rotation_signs_nobody_out(fault_stack):
    ada, before = fault_stack.register(), published(fault_stack)
    done = fault_stack.parley("keys", "rotate")
    after = published_until(fault_stack, lambda kids: len(kids) == 2)

    assert (done.returncode, done.stderr, before[0] in after) == (0, "", True)
    assert ada.get("/auth/me").status_code == fault_stack.register().get("/auth/me").status_code == 200


def test_an_emergency_replaces_the_key_and_keeps_the_sessions(fault_stack):
    before = published(fault_stack)
    done = fault_stack.parley("keys", "rotate", "--now")
    after = published_until(fault_stack, lambda kids: not set(kids) & set(before))

    assert (done.returncode, len(after), set(after) & set(before)) == (0, 1, set())
    assert f"signing/{before[0]}" in done.stdout
