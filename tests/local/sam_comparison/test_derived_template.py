"""The template derived for `sam local`."""

import pytest
import yaml
from samcli.lib.intrinsic_resolver.intrinsic_property_resolver import IntrinsicResolver
from samcli.lib.intrinsic_resolver.intrinsics_symbol_table import IntrinsicsSymbolTable

from local.sam_comparison import sam_cli

TEMPLATE = {
    "Globals": {"Function": {"Runtime": "python3.13", "Environment": {"Variables": {"LEVEL": {"Ref": "LogLevel"}}}}},
    "Resources": {
        "Auth": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "Auth"}},
        "Shared": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "Shared"}},
    },
}
PGPASS = "127.0.0.1:5001:*:parley_app:a\n127.0.0.1:5002:*:parley_app:a\n127.0.0.1:5001:*:parley_owner:o:x\n"


@pytest.fixture
def build(tmp_path):
    for name in ("Auth", "Shared"):
        (tmp_path / name).mkdir()
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(TEMPLATE))
    sam_cli.derive_template(tmp_path, parameters={"DatabasePort": "9"}, environment={"AWS_ENDPOINT_URL": "http://host:1"}, pgpass=PGPASS)
    return tmp_path


def test_every_function_gets_the_surroundings_beside_its_own_variables(build):
    template = yaml.safe_load((build / sam_cli.TEMPLATE_FILE).read_text())

    assert template["Globals"]["Function"]["Environment"]["Variables"] == {
        "LEVEL": {"Ref": "LogLevel"},
        "AWS_ENDPOINT_URL": "http://host:1",
        "PGPASSFILE": "/var/task/.pgpass",
    }


def test_the_rest_of_the_template_stays(build):
    template = yaml.safe_load((build / sam_cli.TEMPLATE_FILE).read_text())
    del template["Globals"]["Function"]["Environment"]

    assert template == {"Globals": {"Function": {"Runtime": "python3.13"}}, "Resources": TEMPLATE["Resources"]}
    assert yaml.safe_load((build / "template.yaml").read_text()) == TEMPLATE


def test_a_template_without_globals_gets_them():
    assert sam_cli.with_environment({}, {"A": "1"}) == {"Globals": {"Function": {"Environment": {"Variables": {"A": "1"}}}}}


def test_the_passwords_lie_in_each_function_and_nowhere_else(build):
    assert [path.parent.name for path in build.rglob(".pgpass")] == ["Auth"]


def test_the_passwords_are_as_private_as_libpq_wants(build):
    assert (build / "Auth" / ".pgpass").stat().st_mode & 0o777 == 0o600


def test_the_passwords_fit_whatever_address_the_containers_see():
    assert sam_cli.pgpass_for_any_server(PGPASS) == "*:*:*:parley_app:a\n*:*:*:parley_owner:o:x\n"


def test_the_stack_has_the_emulators_name(build):
    assert yaml.safe_load((build / sam_cli.PARAMETERS_FILE).read_text()) == {"DatabasePort": "9", "AWS::StackName": "parley"}


def test_sam_takes_what_is_named_as_a_resource_for_its_reference():
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    symbols = IntrinsicsSymbolTable(logical_id_translator={"Queue": "http://host:1/123456789012/Queue"}, template=template)
    resolver = IntrinsicResolver(template=template, symbol_resolver=symbols)

    assert resolver.intrinsic_property_resolver({"Ref": "Queue"}, False) == "http://host:1/123456789012/Queue"


CHOICE = {"Fn::If": ["InVpc", {"Fn::GetAtt": ["Database", "Outputs.Host"]}, {"Ref": "Host"}]}
WITH_CONDITIONS = {
    "Parameters": {"Mode": {"Type": "String", "Default": "Proxy"}, "Host": {"Type": "String", "Default": ""}},
    "Conditions": {"InVpc": {"Fn::Equals": [{"Ref": "Mode"}, "Proxy"]}},
    "Resources": {
        "Database": {"Type": "AWS::CloudFormation::Stack", "Condition": "InVpc"},
        "Auth": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "CodeUri": "Auth",
                "VpcConfig": {"Fn::If": ["InVpc", {"SubnetIds": ["a"]}, {"Ref": "AWS::NoValue"}]},
                "Layers": ["Shared", {"Fn::If": ["InVpc", "Tools", {"Ref": "AWS::NoValue"}]}],
                "Environment": {"Variables": {"HOST": CHOICE}},
            },
        },
    },
}


def test_sam_gets_the_branch_that_holds_and_not_one_that_it_cannot_evaluate():
    decided = sam_cli.with_conditions_decided(WITH_CONDITIONS, {"Mode": "Direct", "Host": "db.example.com"})

    assert decided["Resources"]["Auth"]["Properties"] == {
        "CodeUri": "Auth",
        "Layers": ["Shared"],
        "Environment": {"Variables": {"HOST": {"Ref": "Host"}}},
    }
    assert sam_cli.with_conditions_decided(WITH_CONDITIONS, {})["Resources"]["Auth"]["Properties"]["VpcConfig"] == {"SubnetIds": ["a"]}
