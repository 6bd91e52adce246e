"""Both modes of the database: what the template creates in each, who is in the VPC, and what the roles may do."""

import json
import re

import pytest

from local.template import parameters, source
from local.template.errors import TemplateInvalid
from local.template.load import load
from local.template.resolve import Resolver
from tests.contract.conftest import TEMPLATE

# In prod, unless Alarms and Dashboard are off.
MONITORING = {"AlarmStack", "DashboardStack"}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:parley/owner-AbCdEf"
MODES = {
    "Proxy": {},
    "Proxy over IPv6": {"Egress": "Ipv6"},
    "Direct with IAM": {"DatabaseMode": "Direct", "DatabaseHost": "db.example.com", "DatabaseResourceId": "cluster-ABC"},
    "Direct with a password": {
        **{"DatabaseMode": "Direct", "DatabaseHost": "db.example.com"},
        **{"DatabaseAuth": "secret", "DatabaseOwnerSecret": SECRET},
    },
}
PROXY = [mode for mode in MODES if mode.startswith("Proxy")]
DIRECT = [mode for mode in MODES if mode.startswith("Direct")]

OUTSIDE = {"AuthorizerFunction", "EmbedderFunction", "KeysFunction", "ToolrunnerFunction", "WebFunction"}
LOGIN_ROLES = {
    "AuthFunction": {"app", "background"},
    "ChatFunction": {"app"},
    "ConversationFunction": {"app"},
    "DocumentsFunction": {"app"},
    "HealthFunction": {"app"},
    "IngestFunction": {"app"},
    "MigrateFunction": {"owner"},
    "SummarizeFunction": {"app", "background"},
    "ToolsFunction": {"app"},
    "UpkeepFunction": {"app", "background"},
}
# Lambda attaches a function to a VPC with these, and EC2 knows no narrower resource for them.
ATTACH = {
    *("ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"),
    *("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"),
}


class Created:
    """The resources that CloudFormation creates in one mode, with every value resolved."""

    def __init__(self, template, values):
        resolver = Resolver(template, values)
        self.resources = {
            name: {**resource, "Properties": resolver.value(resource.get("Properties", {}))}
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or resolver.holds(resource["Condition"])
        }

    def of(self, kind):
        return {name: resource["Properties"] for name, resource in self.resources.items() if resource["Type"] == kind}

    def statements(self, role):
        policies = self.of("AWS::IAM::Role")[role].get("Policies", [])
        return [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="session")
def created(translated):
    file = source.read_source(TEMPLATE)
    return {mode: Created(translated, parameters.parameter_values(file, MODES[mode])) for mode in MODES}


@pytest.mark.parametrize("mode", PROXY)
def test_only_functions_that_use_the_database_are_in_the_vpc(created, mode):
    functions = created[mode].of("AWS::Lambda::Function")
    inside = {name for name, properties in functions.items() if "VpcConfig" in properties}

    assert inside == set(LOGIN_ROLES)
    assert functions.keys() - inside == OUTSIDE
    for name in inside:
        assert functions[name]["VpcConfig"] == {
            "SecurityGroupIds": ["Network.Outputs.FunctionGroup"],
            "SubnetIds": ["Network.Outputs.FunctionSubnets"],
            "Ipv6AllowedForDualStack": mode.endswith("IPv6"),
        }


@pytest.mark.parametrize("mode", MODES)
def test_functions_without_ipv4_call_aws_by_names_with_ipv6(created, mode):
    for name in LOGIN_ROLES:
        variables = created[mode].of("AWS::Lambda::Function")[name]["Environment"]["Variables"]

        assert variables["AWS_USE_DUALSTACK_ENDPOINT"] == ("true" if mode.endswith("IPv6") else "false")


@pytest.mark.parametrize("mode", DIRECT)
def test_direct_mode_has_no_vpc_and_nothing_that_bills_while_idle(created, mode):
    assert not [name for name, properties in created[mode].of("AWS::Lambda::Function").items() if "VpcConfig" in properties]
    assert set(created[mode].of("AWS::CloudFormation::Stack")) == MONITORING
    assert not [
        one for role in created[mode].of("AWS::IAM::Role") for one in created[mode].statements(role) if "ec2:" in json.dumps(one["Action"])
    ]


def test_proxy_mode_creates_network_and_database_and_no_password(created):
    assert set(created["Proxy"].of("AWS::CloudFormation::Stack")) == {"Network", "Database"} | MONITORING
    for mode in ("Proxy", "Direct with IAM"):
        assert not created[mode].of("AWS::SecretsManager::Secret")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LOGIN_ROLES)
def test_a_function_connects_to_the_database_of_its_mode(created, mode, name):
    variables = created[mode].of("AWS::Lambda::Function")[name]["Environment"]["Variables"]
    address = variables["PARLEY_DATABASE_HOST"], str(variables["PARLEY_DATABASE_PORT"]), variables["PARLEY_DATABASE_TLS"]

    host = "Database.Outputs.ProxyHost" if mode in PROXY else "db.example.com"
    assert address == (host, "5432", "verify-full")
    assert variables["PARLEY_DATABASE_AUTH"] == ("secret" if mode == "Direct with a password" else "iam")


@pytest.mark.parametrize("mode", ["Proxy", "Proxy over IPv6", "Direct with IAM"])
@pytest.mark.parametrize("name", [*sorted(LOGIN_ROLES), *sorted(OUTSIDE)])
def test_a_function_may_log_in_as_its_roles_at_exactly_this_database(created, mode, name):
    grants = [one for one in created[mode].statements(f"{name}Role") if "rds-db:connect" in as_list(one["Action"])]
    allowed = [resource for grant in grants for resource in as_list(grant["Resource"])]

    database = "Database.Outputs.ProxyResourceId" if mode in PROXY else "cluster-ABC"
    prefix = f"arn:aws:rds-db:us-east-1:123456789012:dbuser:{database}/parley_"
    assert sorted(allowed) == sorted(prefix + role for role in LOGIN_ROLES.get(name, ()))


@pytest.mark.parametrize("name", [*sorted(LOGIN_ROLES), *sorted(OUTSIDE)])
def test_a_function_may_read_the_passwords_of_its_roles_and_no_other(created, name):
    grants = [one for one in created["Direct with a password"].statements(f"{name}Role") if "secretsmanager" in json.dumps(one["Action"])]
    secrets = {"app": "DatabaseAppSecret", "background": "DatabaseBackgroundSecret", "owner": SECRET}
    # The migration sets the passwords of the other roles.
    roles = secrets.keys() if name == "MigrateFunction" else LOGIN_ROLES.get(name, ())

    assert {secret for grant in grants for secret in as_list(grant["Resource"])} == {secrets[role] for role in roles}
    assert all(grant["Action"] == "secretsmanager:GetSecretValue" for grant in grants)


@pytest.mark.parametrize("mode", MODES)
def test_no_role_may_do_anything_to_everything(created, mode):
    for role in created[mode].of("AWS::IAM::Role"):
        for one in created[mode].statements(role):
            actions, resources = set(as_list(one["Action"])), as_list(one["Resource"])
            assert one["Effect"] == "Deny" or not [action for action in actions if action == "*" or action.endswith(":*")], role
            assert "*" not in resources or one["Effect"] == "Deny" or actions == ATTACH, role


@pytest.mark.parametrize("mode", PROXY)
def test_the_code_of_a_function_may_not_use_the_rights_that_attach_it_to_the_vpc(created, mode):
    for name in LOGIN_ROLES:
        (denied,) = [one for one in created[mode].statements(f"{name}Role") if one["Effect"] == "Deny"]
        condition = {"ArnLike": {"lambda:SourceFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:*"}}
        assert (denied["Action"], denied["Resource"], denied["Condition"]) == ("ec2:*", "*", condition)


@pytest.mark.parametrize("mode", MODES)
def test_functions_have_no_policies_but_ours(created, mode):
    for name in created[mode].of("AWS::Lambda::Function"):
        assert "ManagedPolicyArns" not in created[mode].of("AWS::IAM::Role")[f"{name}Role"], name


def test_a_function_that_reads_a_queue_may_read_that_queue_and_no_other(created):
    mappings = created["Proxy"].of("AWS::Lambda::EventSourceMapping").values()
    for mapping in mappings:
        statements = created["Proxy"].statements(f"{mapping['FunctionName']}Role")
        grants = [one for one in statements if "sqs:ReceiveMessage" in as_list(one["Action"])]
        assert [grant["Resource"] for grant in grants] == [mapping["EventSourceArn"]]
    assert len(mappings) == 3


def broken(**values):
    file = source.read_source(TEMPLATE)
    return [problem.message for problem in parameters.broken_rules(file, parameters.parameter_values(file, {"MailFrom": "a@b.c"} | values))]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_keeps_the_rules(mode):
    assert broken(**MODES[mode]) == []


DIRECT_IAM, WITH_PASSWORD = MODES["Direct with IAM"], MODES["Direct with a password"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (DIRECT_IAM | {"DatabaseHost": "localhost"}, "cannot reach a database on its own machine"),
        (DIRECT_IAM | {"DatabaseHost": "*"}, "cannot reach a database on its own machine"),
        (DIRECT_IAM | {"DatabaseHost": ""}, "Set DatabaseHost, or DatabaseMode=Proxy"),
        (DIRECT_IAM | {"DatabaseResourceId": "*"}, "would open every database of the account"),
        (DIRECT_IAM | {"DatabaseResourceId": ""}, "Set DatabaseResourceId, or DatabaseAuth=secret"),
        (DIRECT_IAM | {"DatabaseTls": "disable"}, "Leave DatabaseTls at verify-full"),
        (WITH_PASSWORD | {"DatabaseOwnerSecret": ""}, "Set DatabaseOwnerSecret to its ARN"),
        (DIRECT_IAM | {"DatabaseAuth": "libpq"}, "is for the emulator"),
        ({"DatabaseHost": "db.example.com"}, "Leave DatabaseHost empty, or set DatabaseMode=Direct"),
        ({"DatabaseAuth": "secret", "DatabaseOwnerSecret": SECRET}, "logs in with IAM"),
        ({"DatabaseResourceId": "cluster-ABC"}, "Leave DatabaseResourceId and DatabaseOwnerSecret empty"),
        ({"DatabasePreparedStatements": "yes"}, "Leave DatabasePreparedStatements at no, or set DatabaseMode=Direct"),
        ({"MailFrom": ""}, "Set MailFrom, or EmailVerification=off"),
    ],
)
def test_what_a_mode_lacks_is_refused_with_a_sentence(values, sentence):
    assert any(sentence in message for message in broken(**values)), broken(**values)


def test_functions_may_invoke_exactly_the_bedrock_models_and_read_exactly_the_secrets_of_the_deployment(translated):
    models = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0,arn:aws:bedrock:eu-west-1:123456789012:inference-profile/x"
    file = source.read_source(TEMPLATE)
    guardrail = "arn:aws:bedrock:eu-west-1:123456789012:guardrail/gr1"
    values = parameters.parameter_values(file, {"BedrockModels": models, "ModelSecrets": SECRET, "BedrockGuardrails": guardrail})
    lists = {name: parameters.parameter_ref(file.content["Parameters"], name, value) for name, value in values.items()}
    allowing = Created(translated, lists)

    for name in ("ChatFunction", "SummarizeFunction", "IngestFunction"):
        statements = {json.dumps(one["Action"]): one["Resource"] for one in allowing.statements(f"{name}Role")}
        assert statements['["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]'] == models.split(",")
        assert statements['"secretsmanager:GetSecretValue"'] == [SECRET]
        assert statements['"bedrock:ApplyGuardrail"'] == [guardrail]


def test_no_function_may_ask_a_guardrail_unless_the_deployment_names_it(translated):
    created = Created(translated, parameters.parameter_values(source.read_source(TEMPLATE), {}))

    assert "bedrock:ApplyGuardrail" not in json.dumps(created.of("AWS::IAM::Role"))


@pytest.mark.parametrize("name", ["BedrockModels", "ModelSecrets"])
def test_models_and_secrets_are_named_without_wildcards(translated, name):
    pattern = re.compile(translated["Parameters"][name]["AllowedPattern"])
    service = "bedrock" if name == "BedrockModels" else "secretsmanager"

    arn = f"arn:aws:{service}:eu-west-1:123456789012:secret:a"

    assert [text for text in ("", arn, f"{arn}*", "*") if pattern.fullmatch(text)] == ["", arn]


def test_the_emulator_refuses_what_cloudformation_would():
    with pytest.raises(TemplateInvalid, match="Set MailFrom, or EmailVerification=off"):
        load(TEMPLATE, overrides={"MailFrom": ""}, checks_rules=True)
