"""The opt-ins around a stack: firewall, host name and encryption key. By default none of them exists."""

import json

import pytest

from local.template import parameters, source
from local.template.resolve import Resolver
from tests.contract.conftest import TEMPLATE
from tests.contract.test_database_modes import Created

KEY = "arn:aws:kms:eu-west-1:123456789012:key/abc"
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


def test_a_key_encrypts_files_logs_and_alarms_and_only_for_those_who_use_them(created):
    with_key, without = created(KmsKeyArn=KEY), created()
    (bucket,) = with_key.of("AWS::S3::Bucket").values()
    (policy,) = with_key.of("AWS::IAM::ManagedPolicy").values()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (statement,) = policy["PolicyDocument"]["Statement"]

    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert {group["KmsKeyId"] for group in with_key.of("AWS::Logs::LogGroup").values()} == {KEY}
    assert with_key.of("AWS::CloudFormation::Stack")["AlarmStack"]["Parameters"]["KmsKeyArn"] == KEY
    assert set(policy["Roles"]) == {f"{name}FunctionRole" for name in ("Auth", "Chat", "Documents", "Ingest", "Upkeep")}
    assert (statement["Resource"], list(statement["Condition"]["StringEquals"])) == (KEY, ["kms:ViaService"])
    assert without.of("AWS::IAM::ManagedPolicy") == {}
    assert not [group for group in without.of("AWS::Logs::LogGroup").values() if "KmsKeyId" in group]


def test_every_role_that_reaches_files_may_use_the_key(created):
    roles = created(KmsKeyArn=KEY)
    (policy,) = roles.of("AWS::IAM::ManagedPolicy").values()
    reaching = {name for name in roles.of("AWS::IAM::Role") if any("s3:" in json.dumps(one) for one in roles.statements(name))}

    assert reaching == set(policy["Roles"])
