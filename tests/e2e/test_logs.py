"""Secrets and personal data never appear in a log."""

import time

from tests.fakes.vendor import refuses, streams

PASSWORD, PROMPT, ANSWER = "canary-password-7c1f", "canary-prompt-7c1f", "canary-answer-7c1f"


def logged(stack):
    time.sleep(0.3)  # the workers' last lines may not be in the files yet
    return (
        "".join(path.read_text(errors="replace") for path in (stack.data / "logs").glob("*")) + (stack.data.parent / "up.log").read_text()
    )


def test_no_password_token_key_prompt_or_answer_reaches_a_log(fault_stack, vendor):
    registration = {"email": "canary@example.com", "password": PASSWORD}
    tokens = fault_stack.http.post("/auth/register", json=registration).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    fault_stack.http.post("/auth/login", json=registration | {"password": PASSWORD + "!"})
    fault_stack.http.post("/auth/login", content=f'{{"password": "{PASSWORD}"')
    fault_stack.http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    for script in (streams(ANSWER), refuses(401, message=PROMPT), refuses(500)):
        vendor.script = script
        fault_stack.http.post("/chat", json={"message": PROMPT, "stream": False}, headers=headers)
    fault_stack.http.post("/chat", json={"message": {"not": PROMPT}}, headers=headers)
    known = fault_stack.http.get("/conversations", headers=headers).json()["items"][0]["id"]
    for more in ({}, {"conversation_id": known}):
        fault_stack.http.post("/chat", json={"message": PROMPT + "\u0000"} | more, headers=headers)

    secrets = [PASSWORD, PROMPT, ANSWER, tokens["access_token"], tokens["refresh_token"], "sk-test-vendor-key"]
    assert [secret for secret in secrets if secret in logged(fault_stack)] == []
