"""How a release reaches clients: published versions behind an alias, gradual deployments, and SnapStart."""

import pytest

from local.sam_build.artefacts import publish_versions
from local.template import parameters, source
from local.template.load import load
from local.template.pseudo import function_arn
from local.template.translate import translate
from tests.contract.conftest import TEMPLATE
from tests.contract.test_database_modes import Created

PUBLISHED = {
    *("AuthorizerFunction", "AuthFunction", "ChatFunction", "ConversationFunction", "DocumentsFunction", "ToolsFunction"),
    *("HealthFunction", "WebFunction", "IngestFunction", "SummarizeFunction", "UpkeepFunction"),
}
WITH_SNAPSHOTS = {"AuthorizerFunction", "AuthFunction", "ChatFunction", "ConversationFunction", "DocumentsFunction", "ToolsFunction"}


def built(folder, build_id="1"):
    """Return the template as `make build GRADUAL=yes` writes it, beside links to the sources."""
    for name in ("functions", "layers", "stacks"):
        (folder / name).symlink_to(TEMPLATE.parent / name)
    template = folder / "template.yaml"
    template.write_text(TEMPLATE.read_text())
    publish_versions(template, build_id=build_id)
    return template


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return built(tmp_path_factory.mktemp("built"))


def create(template, **values):
    file = source.read_source(template)
    chosen = parameters.parameter_values(file, values)
    return Created(translate(file, chosen), chosen)


@pytest.fixture(scope="module")
def canary(template):
    return create(template)


def test_requests_queues_and_schedules_reach_an_alias(canary, template):
    stack = load(template, overrides={})
    sources = canary.of("AWS::Lambda::EventSourceMapping")
    aliases = {alias["FunctionName"] for alias in canary.of("AWS::Lambda::Alias").values()}
    reached = {route.integration.function for route in stack.api.routes if hasattr(route.integration, "function")}

    assert aliases == PUBLISHED >= reached
    assert all(str(mapping["FunctionName"]).endswith(":live") for mapping in sources.values())
    for name, schedule in canary.of("AWS::Scheduler::Schedule").items():
        assert str(schedule["Target"]["Arn"]).endswith(":live") or "KeysFunction" in name, name


def test_the_gateway_may_invoke_the_alias_of_each_route(canary, template):
    routes = load(template, overrides={}).api.routes
    reached = {route.integration.function for route in routes if hasattr(route.integration, "function")}
    permitted = {one["FunctionName"] for one in canary.of("AWS::Lambda::Permission").values()}

    assert {f"{function_arn(function)}:live" for function in reached} <= permitted


def test_a_failed_run_is_reported_for_the_version_that_ran(canary):
    for config in canary.of("AWS::Lambda::EventInvokeConfig").values():
        assert config["Qualifier"] == ("live" if config["FunctionName"] in PUBLISHED else "$LATEST")


def test_a_gradual_deployment_returns_if_an_alarm_starts(canary):
    groups = canary.of("AWS::CodeDeploy::DeploymentGroup")

    assert len(groups) == len(PUBLISHED)
    for group in groups.values():
        assert [alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]] == [
            *("AlarmStack.Outputs.ApiErrors", "AlarmStack.Outputs.TurnFailures", "AlarmStack.Outputs.UnexpectedErrors")
        ]
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"


def test_the_alarms_of_a_deployment_exist():
    outputs = source.read_source(TEMPLATE.parent / "stacks" / "alarms.yaml").content["Outputs"]

    assert {"ApiErrors", "TurnFailures", "UnexpectedErrors"} <= outputs.keys()


def test_a_deployment_at_once_needs_nothing_of_codedeploy(template):
    created = create(template, Deployment="AllAtOnce")

    assert not [kind for kind in ("Application", "DeploymentGroup") if created.of(f"AWS::CodeDeploy::{kind}")]
    assert {alias["FunctionName"] for alias in created.of("AWS::Lambda::Alias").values()} == PUBLISHED


def test_the_usual_build_publishes_nothing(translated):
    assert not [name for name, one in translated["Resources"].items() if one["Type"] in ("AWS::Lambda::Alias", "AWS::Lambda::Version")]


def test_an_old_version_does_not_stay_and_bill(canary):
    versions = [one for one in canary.resources.values() if one["Type"] == "AWS::Lambda::Version"]

    assert {version["DeletionPolicy"] for version in versions} == {"Delete"}


def test_each_build_publishes_new_versions_even_if_only_a_parameter_has_changed(canary, tmp_path):
    before, after = (set(one.of("AWS::Lambda::Version")) for one in (canary, create(built(tmp_path, build_id="2"))))

    assert len(before) == len(after) == len(PUBLISHED)
    assert before.isdisjoint(after)


def test_snapshots_start_functions_with_waiting_clients_and_only_on_request(template, canary):
    functions = create(template, SnapStart="on").of("AWS::Lambda::Function")
    without = canary.of("AWS::Lambda::Function")

    assert {name for name, one in functions.items() if one.get("SnapStart") == {"ApplyOn": "PublishedVersions"}} == WITH_SNAPSHOTS
    # AWS refuses SnapStart beside more than 512 MB of /tmp.
    assert not [name for name in WITH_SNAPSHOTS if "EphemeralStorage" in functions[name]]
    assert not [name for name, one in without.items() if one.get("SnapStart", {"ApplyOn": "None"}) != {"ApplyOn": "None"}]
