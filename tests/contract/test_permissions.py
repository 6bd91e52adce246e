"""The functions' permissions on AWS compared with the calls in their code, read from the translated template."""

import re

import pytest


def listed(one_or_more):
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def statements(translated, role):
    policies = translated["Resources"][role]["Properties"]["Policies"]
    found = [statement for policy in policies if "PolicyDocument" in policy for statement in listed(policy["PolicyDocument"]["Statement"])]
    return [statement for statement in map(if_its_condition_holds, found) if "Action" in statement]


def if_its_condition_holds(statement):
    while "Fn::If" in statement:
        statement = statement["Fn::If"][1]
    return statement


def test_mail_goes_also_where_the_address_has_a_configuration_set(translated):
    found = [one for one in statements(translated, "UpkeepFunctionRole") if one["Action"] == ["ses:SendEmail"]]
    kinds = {resource["Fn::Sub"].rsplit(":", 1)[1] for statement in found for resource in statement["Resource"]}

    assert kinds == {"identity/*", "configuration-set/*"}


def test_upkeep_writes_exports_and_nothing_else(translated):
    found = [one for one in statements(translated, "UpkeepFunctionRole") if "s3:PutObject" in one["Action"]]

    assert [one["Resource"]["Fn::Sub"] for one in found] == ["${FilesBucket.Arn}/exports/*"]


def test_chat_moves_images_and_no_other_files(translated):
    found = [one for one in statements(translated, "ChatFunctionRole") if any(action.startswith("s3:") for action in one["Action"])]

    assert [one["Resource"]["Fn::Sub"] for one in found] == ["${FilesBucket.Arn}/images/*"]


@pytest.mark.parametrize(("sender", "fits"), [("", True), ("parley@example.com", True), ("Parley <parley@example.com>", False)])
def test_the_sender_is_an_address_alone_as_its_permission_compares_it(translated, sender, fits):
    assert bool(re.fullmatch(translated["Parameters"]["MailFrom"]["AllowedPattern"], sender)) is fits


@pytest.mark.parametrize("name", ["GuessesPerAccount", "GuessesPerAddress", "GuessesPerMinute"])
def test_a_limit_of_none_is_refused_at_the_deployment(translated, name):
    assert translated["Parameters"][name]["MinValue"] >= 1
