"""The opt-ins around a stack: firewall, host name and encryption key. By default none of them exists."""

import json

import pytest

from local.template import parameters, source
from local.template.resolve import Resolver
from tests.contract.conftest import TEMPLATE
from tests.contract.test_database_modes import LOGIN_ROLES, Created, as_list

KEY = "arn:aws:kms:eu-west-1:123456789012:key/abc"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:parley/owner-AbCdEf"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/abc"
DOMAIN = {"DomainName": "chat.example.com", "CertificateArn": CERTIFICATE}


@pytest.fixture(scope="session")
def created(translated):
    return lambda **values: Created(translated, parameters.parameter_values(source.read_source(TEMPLATE), values))


@pytest.fixture(scope="session")
def edge(created):
    """Return the resources of the nested stack, or None if it does not exist."""

    def edge(**values):
        nested = created(**values).of("AWS::CloudFormation::Stack").get("EdgeStack")
        if nested is None:
            return None
        template = source.read_source(TEMPLATE.parent / "stacks" / "edge.yaml").content
        assert nested["Parameters"].keys() == template["Parameters"].keys()
        return Created(template, {name: str(value) for name, value in nested["Parameters"].items()})

    return edge


def test_nothing_of_the_edge_exists_by_default(edge):
    assert edge() is None


def test_a_firewall_limits_addresses_and_reads_no_body(edge):
    firewall = edge(Waf="on", WafRequestsPerFiveMinutes="500").of("AWS::WAFv2::WebACL")["Firewall"]
    (association,) = edge(Waf="on").of("AWS::WAFv2::WebACLAssociation").values()
    rate, reputation = (rule["Statement"] for rule in firewall["Rules"])

    assert firewall["DefaultAction"] == {"Allow": {}}
    assert (rate["RateBasedStatement"]["Limit"], rate["RateBasedStatement"]["AggregateKeyType"]) == ("500", "IP")
    assert reputation["ManagedRuleGroupStatement"]["Name"] == "AWSManagedRulesAmazonIpReputationList"
    assert association["ResourceArn"].endswith("/stages/prod")
    assert "Body" not in json.dumps(firewall)


def test_a_host_name_leads_to_the_stage_and_has_a_record_if_its_zone_is_known(edge):
    with_zone, without = edge(**DOMAIN, HostedZoneId="Z1"), edge(**DOMAIN)
    (domain,) = without.of("AWS::ApiGateway::DomainName").values()
    (mapping,) = without.of("AWS::ApiGateway::BasePathMapping").values()

    assert (domain["DomainName"], domain["RegionalCertificateArn"], domain["SecurityPolicy"]) == (
        "chat.example.com",
        CERTIFICATE,
        "TLS_1_2",
    )
    assert mapping["Stage"] == "prod"
    assert [one["Name"] for one in with_zone.of("AWS::Route53::RecordSet").values()] == ["chat.example.com"]
    assert without.of("AWS::Route53::RecordSet") == without.of("AWS::WAFv2::WebACL") == {}


@pytest.mark.parametrize(("values", "is_accepted"), [({}, True), (DOMAIN, True), ({"DomainName": "chat.example.com"}, False)])
def test_a_host_name_without_a_certificate_is_refused(translated, values, is_accepted):
    chosen = parameters.parameter_values(source.read_source(TEMPLATE), values)
    (rule,) = translated["Rules"]["ADomainNeedsACertificate"]["Assertions"]

    assert Resolver(translated, chosen).value(rule["Assert"]) is is_accepted


@pytest.mark.parametrize(
    ("chosen", "origins"),
    [
        ("off", ""),
        ("on", "https://parley-filesbucket.s3.us-east-1.amazonaws.com https://parley-filesbucket.s3.amazonaws.com"),
        ("https://store.example.com", "https://store.example.com"),
    ],
)
def test_the_page_may_send_to_the_bucket_only_on_request(created, chosen, origins):
    variables = created(PageUploads=chosen).of("AWS::Lambda::Function")["WebFunction"]["Environment"]["Variables"]

    assert variables["PARLEY_UPLOAD_ORIGINS"] == origins


def test_a_key_encrypts_files_logs_alarms_queues_and_secrets(created):
    secrets = {"DatabaseMode": "Direct", "DatabaseHost": "db.example.com", "DatabaseAuth": "secret", "DatabaseOwnerSecret": SECRET}
    with_key = created(KmsKeyArn=KEY, **secrets)
    (bucket,) = with_key.of("AWS::S3::Bucket").values()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    queues = with_key.of("AWS::SQS::Queue")

    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert {group["KmsKeyId"] for group in with_key.of("AWS::Logs::LogGroup").values()} == {KEY}
    assert {secret["KmsKeyId"] for secret in with_key.of("AWS::SecretsManager::Secret").values()} == {KEY}
    assert with_key.of("AWS::CloudFormation::Stack")["AlarmStack"]["Parameters"]["KmsKeyArn"] == KEY
    # The schedules' own roles, which may use no key, send to this queue.
    assert [name for name, queue in queues.items() if queue.get("KmsMasterKeyId") != KEY] == ["ScheduleDeadLetters"]
    assert [name for name, queue in queues.items() if queue["SqsManagedSseEnabled"] is True] == ["ScheduleDeadLetters"]


def test_without_a_key_aws_encrypts_with_its_own(created):
    stack = created()

    assert {queue["SqsManagedSseEnabled"] for queue in stack.of("AWS::SQS::Queue").values()} == {True}
    assert "kms" not in json.dumps([stack.statements(role) for role in stack.of("AWS::IAM::Role")]).lower()
    for kind in ("AWS::SQS::Queue", "AWS::Logs::LogGroup", "AWS::S3::Bucket"):
        assert "arn:aws:kms" not in json.dumps(stack.of(kind))


def test_roles_that_reach_files_queues_or_secrets_may_use_the_key_and_only_through_these(created):
    roles = created(KmsKeyArn=KEY)
    queues = {f"arn:aws:sqs:us-east-1:123456789012:{name}" for name, one in roles.of("AWS::SQS::Queue").items() if "KmsMasterKeyId" in one}
    statements = {name: roles.statements(name) for name in roles.of("AWS::IAM::Role")}
    granted = {name: [one for one in found if one.get("Resource") == KEY] for name, found in statements.items()}
    reaching = {name for name, found in statements.items() if any("s3:" in str(one["Action"]) or queues & named(one) for one in found)}

    assert len(reaching) == 7
    assert reaching <= {name for name, found in granted.items() if found} == {f"{name}Role" for name in LOGIN_ROLES}
    for (statement,) in filter(None, granted.values()):
        services = {service.split(".")[0] for service in statement["Condition"]["StringEquals"]["kms:ViaService"]}
        assert (set(statement["Action"]), services) == ({"kms:Decrypt", "kms:GenerateDataKey"}, {"s3", "secretsmanager", "sqs"})


def named(statement):
    """Return the resources that a statement names."""
    return set(as_list(statement["Resource"]))


def test_a_key_of_its_own_encrypts_the_cluster_and_its_master_password(created):
    outer = created(DatabaseKmsKeyArn=KEY, KmsKeyArn=KEY.replace("abc", "other"))
    nested = outer.of("AWS::CloudFormation::Stack")["Database"]["Parameters"]
    template = source.read_source(TEMPLATE.parent / "stacks" / "database.yaml").content
    (cluster,) = Created(template, {name: str(value) for name, value in nested.items()}).of("AWS::RDS::DBCluster").values()
    reading = [one for one in outer.statements("MigrateFunctionRole") if one.get("Resource") == KEY]

    assert (cluster["KmsKeyId"], cluster["MasterUserSecret"]) == (KEY, {"KmsKeyId": KEY})
    assert [one["Action"] for one in reading] == ["kms:Decrypt"]
