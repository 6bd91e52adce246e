"""The order in which CloudFormation updates the resources of a release: the database first, then the code that uses it."""

import pytest


def as_list(value):
    return value if isinstance(value, list) else [value]


def references(value):
    """Yield the names of the resources that a property refers to."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item[0] if isinstance(item, list) else item.split(".")[0]
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.fixture(scope="module")
def resources(translated):
    return translated["Resources"]


def needs(resources, name, seen=()):
    """Return all resources that must exist before the resource `name`."""
    resource = resources[name]
    found = set()
    for other in {*as_list(resource.get("DependsOn", [])), *references(resource.get("Properties", {}))} & resources.keys():
        assert other not in seen, f"cycle: {(*seen, name, other)}"
        found |= {other} | needs(resources, other, (*seen, name))
    return found


def test_every_function_gets_its_code_after_the_migration(resources):
    functions = {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Function"}

    assert {name for name in functions if "Migration" not in needs(resources, name)} == {"MigrateFunction"}


def test_a_new_layer_runs_the_migration_again(resources):
    properties = resources["Migration"]["Properties"]
    layers = [name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::LayerVersion"]
    (layer,) = [name for name in layers if name.startswith("SharedLayer")]

    assert properties["Release"] == {"Ref": layer}
    assert properties["ServiceToken"] == {"Fn::GetAtt": ["MigrateFunction", "Arn"]}


def test_the_migration_waits_for_the_database(resources):
    assert "Database" in needs(resources, "Migration")


def test_cloudformation_waits_longer_than_the_function_runs(resources):
    assert resources["Migration"]["Properties"]["ServiceTimeout"] > resources["MigrateFunction"]["Properties"]["Timeout"]


def test_lambda_does_not_repeat_a_migration_that_was_given_up(resources):
    configs = [resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::Lambda::EventInvokeConfig"]
    (config,) = [config for config in configs if config["FunctionName"] == {"Ref": "MigrateFunction"}]

    assert config["MaximumRetryAttempts"] == 0
