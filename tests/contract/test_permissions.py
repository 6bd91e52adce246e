"""The functions' permissions on AWS compared with the calls in their code, read from the translated template."""

import json
import re

import pytest

from local.template import parameters, source
from local.template.stack import LambdaIntegration
from tests.contract.conftest import TEMPLATE
from tests.contract.test_database_modes import Created


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


def gateway_permissions(translated):
    """The permissions by which API Gateway invokes the functions, by function."""
    permissions = [one["Properties"] for one in translated["Resources"].values() if one["Type"] == "AWS::Lambda::Permission"]
    by_function = {}
    for permission in permissions:
        by_function.setdefault(json.dumps(permission["FunctionName"]), []).append(permission)
    return by_function


def test_lambda_accepts_the_resource_policy_of_each_function(translated):
    # 20 KB, which no request raises: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html ("Function resource-based
    # policy"). A statement with the longest names of a stack and a function has less than 1 KB. With one for each route, `sam deploy`
    # failed: https://github.com/aws/serverless-application-model/issues/337
    assert {function: len(found) for function, found in gateway_permissions(translated).items() if len(found) > 20} == {}


def test_the_gateway_may_invoke_the_function_of_each_route(translated, stack):
    called = {
        json.dumps({"Ref": route.integration.function}) for route in stack.api.routes if isinstance(route.integration, LambdaIntegration)
    }
    permissions = gateway_permissions(translated)

    assert called <= permissions.keys()
    for function in called:
        (permission,) = permissions[function]
        assert permission["SourceArn"] == {"Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*"}
        assert (permission["Principal"], permission["Action"]) == ("apigateway.amazonaws.com", "lambda:InvokeFunction")


@pytest.mark.parametrize(
    ("values", "identities"),
    [
        ({"MailFrom": "parley@chat.example.com"}, {"parley@chat.example.com", "chat.example.com"}),
        ({"MailFrom": "parley@chat.example.com", "MailDomain": "example.com"}, {"parley@chat.example.com", "example.com"}),
    ],
)
def test_mail_is_sent_as_the_sender_alone_through_the_address_or_its_domain(translated, values, identities):
    created = Created(translated, parameters.parameter_values(source.read_source(TEMPLATE), values))
    (mail,) = [one for one in created.statements("UpkeepFunctionRole") if one["Action"] == ["ses:SendEmail"]]
    resources = {re.sub(r"^arn:aws:ses:[^:]+:[^:]+:", "", resource) for resource in mail["Resource"]}

    assert resources == {f"identity/{identity}" for identity in identities} | {"configuration-set/*"}
    assert mail["Condition"] == {"StringEquals": {"ses:FromAddress": values["MailFrom"]}}


def test_a_stack_without_a_sender_may_send_nothing(translated):
    created = Created(translated, parameters.parameter_values(source.read_source(TEMPLATE), {"MailFrom": ""}))

    assert not [one for one in created.statements("UpkeepFunctionRole") if "ses:SendEmail" in one["Action"]]


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
