"""Authorizer policies."""

from typing import Any

import pytest

from local.gateway.policy import Grant, PolicyMalformed

ARN = "arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/admin/users"


def grant(*statements: tuple[str, Any], **more: Any) -> Grant:
    listed = [{"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource} for effect, resource in statements]
    return Grant.parse({"principalId": "me", "policyDocument": {"Statement": listed}, **more})


@pytest.mark.parametrize(
    ("resource", "is_allowed"),
    [
        (ARN, True),
        ("*", True),
        ("arn:aws:execute-api:*:*:local/prod/*/*", True),
        (ARN.replace("users", "use?s"), True),
        ([ARN.replace("users", "x"), ARN], True),
        (ARN.replace("GET", "POST"), False),
        (ARN.replace("users", "user?s"), False),
        (ARN.replace("users", "user[s]"), False),
        (ARN + "/more", False),
    ],
)
def test_a_resource_matches_with_its_wildcards(resource: Any, is_allowed: bool) -> None:
    assert grant(("Allow", resource)).allows(ARN) is is_allowed


def test_a_deny_wins_wherever_it_stands() -> None:
    assert not grant(("Deny", "*/admin/*"), ("Allow", "*")).allows(ARN)
    assert not grant(("Allow", "*"), ("Deny", "*/admin/*")).allows(ARN)
    assert grant(("Allow", "*"), ("Deny", "*/admin/*")).allows(ARN.replace("admin", "me"))


def test_nothing_is_allowed_without_an_allow() -> None:
    assert not grant().allows(ARN)
    assert not grant(("Deny", "*/other/*")).allows(ARN)


def test_a_statement_about_another_action_says_nothing() -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}

    assert not Grant.parse({"principalId": "me", "policyDocument": {"Statement": statement}}).allows(ARN)


def test_the_context_reaches_functions_as_strings() -> None:
    context = {"text": "a", "number": 7, "half": 0.5, "yes": True, "no": False}

    assert grant(context=context).context == {"text": "a", "number": "7", "half": "0.5", "yes": "true", "no": "false"}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "Allow",
        {},
        {"principalId": "me"},
        {"policyDocument": {"Statement": []}},
        {"principalId": 5, "policyDocument": {"Statement": []}},
        {"principalId": "me", "policyDocument": {"Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]}},
        {"principalId": "me", "policyDocument": {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": 7}]}},
        {"principalId": "me", "policyDocument": {"Statement": []}, "context": {"nested": {}}},
        {"principalId": "me", "policyDocument": {"Statement": []}, "context": []},
    ],
)
def test_a_malformed_answer_is_told_from_a_refusal(answer: Any) -> None:
    with pytest.raises(PolicyMalformed):
        Grant.parse(answer)
