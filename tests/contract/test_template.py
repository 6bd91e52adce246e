"""Required properties of the deployed template, read from the translated template; nothing runs on AWS."""

import json
import re

import anthropic
import httpx2
import openai
import pytest

from local.template import source
from local.template.load import load
from local.template.resolve import Resolver
from local.template.stack import LambdaIntegration
from local.template.translate import translate
from tests.conftest import ROOT
from tests.contract.conftest import TEMPLATE

PUBLIC = {
    "POST /auth/register",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/verify",
    "POST /auth/password/forgot",
    "POST /auth/password/reset",
    "POST /auth/login/second-factor",
    "POST /auth/login/passkey/begin",
    "POST /auth/login/passkey",
    "GET /auth/oidc",
    "GET /auth/oidc/{id}/start",
    "GET /auth/oidc/{id}/callback",
    "POST /auth/oidc/token",
    "POST /auth/oidc/{id}/logout",
    "POST /links/view-public",
    "GET /openapi.json",
    "GET /docs",
    "GET /",
    "GET /assets/{name}",
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-protected-resource",
    "GET /.well-known/oauth-protected-resource/mcp",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/openid-configuration",
    "POST /oauth/register",
    "GET /oauth/authorize",
    "POST /oauth/token",
    "POST /oauth/revoke",
    "GET /health",
    "GET /health/ready",
    "GET /mcp",
    "DELETE /mcp",
    "GET /scim/v2/ServiceProviderConfig",
    "GET /scim/v2/ResourceTypes",
    "GET /scim/v2/ResourceTypes/{id}",
    "GET /scim/v2/Schemas",
    "GET /scim/v2/Schemas/{id}",
    "GET /scim/v2/Users",
    "POST /scim/v2/Users",
    "GET /scim/v2/Users/{id}",
    "PUT /scim/v2/Users/{id}",
    "PATCH /scim/v2/Users/{id}",
    "DELETE /scim/v2/Users/{id}",
    "GET /scim/v2/Groups",
    "POST /scim/v2/Groups",
    "GET /scim/v2/Groups/{id}",
    "PUT /scim/v2/Groups/{id}",
    "PATCH /scim/v2/Groups/{id}",
    "DELETE /scim/v2/Groups/{id}",
}
NAMES = {
    "AuthorizerFunction",
    "AuthFunction",
    "ChatFunction",
    "ConversationFunction",
    "DocumentsFunction",
    "EmbedderFunction",
    "IngestFunction",
    "MigrateFunction",
    "ToolsFunction",
    "HealthFunction",
    "KeysFunction",
    "SummarizeFunction",
    "ToolrunnerFunction",
    "UpkeepFunction",
    "WebFunction",
}
TELEMETRY = {
    "TracesEndpoint": "https://collector.example.com/v1/traces",
    "TracesHeaders": "x-api-key=k",
    "SentryDsn": "https://k@sentry.example.com/1",
}
METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def observed():
    """The stack with traces and error reports on."""
    return load(TEMPLATE, overrides=TELEMETRY)


def operations(openapi):
    return {
        f"{method.upper()} {path}": operation
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def integration(operation):
    return operation["x-amazon-apigateway-integration"]


def function_of(operation):
    return re.search(r"\$\{(\w+)\.Arn\}", integration(operation)["uri"]["Fn::Sub"])[1]


def test_functions_bear_the_names_that_others_rely_on(stack):
    assert set(stack.functions) == NAMES


def test_every_route_of_chat_and_web_streams_and_no_other_does(openapi):
    for name, operation in operations(openapi).items():
        streams = integration(operation).get("responseTransferMode") == "STREAM"
        assert streams == (function_of(operation) in {"ChatFunction", "WebFunction"}), name


def test_a_burst_of_uploads_takes_few_connections_and_a_document_that_takes_long_is_not_read_twice(translated, stack):
    source = translated["Resources"]["IngestFunctionFiles"]["Properties"]
    queue = translated["Resources"]["IngestQueue"]["Properties"]

    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "IngestConcurrency"}}
    assert (source["BatchSize"], source["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])
    assert queue["VisibilityTimeout"] >= 6 * stack.functions["IngestFunction"].timeout_s
    assert "deadLetterTargetArn" in queue["RedrivePolicy"]


def test_only_s3_on_behalf_of_this_account_may_tell_of_files(translated):
    (statement,) = translated["Resources"]["IngestQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert (statement["Principal"], statement["Action"]) == ({"Service": "s3.amazonaws.com"}, "sqs:SendMessage")
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_streaming_route_calls_the_streaming_invocation(openapi):
    for operation in operations(openapi).values():
        if integration(operation).get("responseTransferMode") == "STREAM":
            assert integration(operation)["uri"]["Fn::Sub"].endswith("/response-streaming-invocations")
            assert integration(operation)["timeoutInMillis"] <= 900_000


def test_a_route_waits_as_long_as_its_function_may_run(stack):
    for route in stack.api.routes:
        if isinstance(route.integration, LambdaIntegration) and not route.integration.is_streaming:
            assert stack.functions[route.integration.function].timeout_s <= route.integration.timeout_s


def test_every_route_but_the_public_ones_asks_the_authorizer(openapi):
    security = {name: operation.get("security") for name, operation in operations(openapi).items()}
    guarded = {name for name, found in security.items() if found in ([{"Authorizer": []}], [{"UncachedAuthorizer": []}])}
    uncached = {name for name in guarded if security[name] == [{"UncachedAuthorizer": []}]}

    assert set(operations(openapi)) - guarded == PUBLIC
    assert uncached == {"POST /v1/messages", "POST /v1/messages/count_tokens", "GET /v1/models", "GET /v1/models/{id}"}


@pytest.mark.parametrize(
    ("values", "challenge"),
    [
        ({}, "Bearer"),
        (
            {"ApiAddress": "https://x.example/prod"},
            'Bearer resource_metadata="https://x.example/prod/.well-known/oauth-protected-resource/mcp"',
        ),
        (
            {"DomainName": "chat.example.com", "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/x"},
            'Bearer resource_metadata="https://chat.example.com/.well-known/oauth-protected-resource/mcp"',
        ),
    ],
)
def test_a_client_without_a_token_learns_where_to_sign_in(values, challenge):
    refusal = load(TEMPLATE, overrides=values).api.responses["UNAUTHORIZED"]

    assert refusal.headers["WWW-Authenticate"] == f"'{challenge}'"


def test_the_authorizers_verdict_is_kept_for_a_minute_at_most(stack):
    authorizer = stack.api.authorizers["Authorizer"]

    assert (authorizer.identity_headers, 0 < authorizer.ttl_s <= 60) == (("Authorization",), True)


def test_a_verdict_on_either_of_two_headers_is_never_kept(stack):
    authorizer = stack.api.authorizers["UncachedAuthorizer"]

    assert (authorizer.function, authorizer.identity_headers, authorizer.ttl_s) == ("AuthorizerFunction", (), 0)


def test_sibling_paths_share_the_name_of_their_variable(openapi):
    siblings = {}
    for path in openapi["paths"]:
        parts = path.split("/")
        for index, part in enumerate(parts):
            if part.startswith("{"):
                siblings.setdefault("/".join(parts[:index]), set()).add(part)

    assert all(len(names) == 1 for names in siblings.values()), siblings


def test_the_api_is_regional_since_edge_ends_idle_streams_after_30_seconds(translated):
    assert translated["Resources"]["Api"]["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_only_multipart_bodies_are_binary(openapi):
    assert openapi["x-amazon-apigateway-binary-media-types"] == ["multipart/form-data"]


def test_preflights_need_no_token(openapi):
    for path, methods in openapi["paths"].items():
        assert "security" not in methods["options"], path


# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
GATEWAY_ANSWERS = {
    *("ACCESS_DENIED", "API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE", "BAD_REQUEST_BODY"),
    *("BAD_REQUEST_PARAMETERS", "DEFAULT_4XX", "DEFAULT_5XX", "EXPIRED_TOKEN", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"),
    *("INVALID_API_KEY", "INVALID_SIGNATURE", "MISSING_AUTHENTICATION_TOKEN", "QUOTA_EXCEEDED", "REQUEST_TOO_LARGE"),
    *("RESOURCE_NOT_FOUND", "THROTTLED", "UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE", "WAF_FILTERED"),
}


def test_every_answer_of_the_gateways_own_is_worded(stack):
    assert set(stack.api.responses) == GATEWAY_ANSWERS


@pytest.mark.parametrize("kind", sorted(GATEWAY_ANSWERS))
def test_a_gateways_own_answer_is_a_problem_document_of_the_status_it_is_sent_with(stack, kind):
    response = stack.api.responses[kind]
    said = json.loads(response.body.replace("$context.error.messageString", '"…"'))

    assert said["status"] == response.status
    assert said.keys() == {"type", "title", "status", "detail", "code", "request_id", "error"}
    assert response.headers["Content-Type"] == "'application/problem+json'"


@pytest.mark.parametrize("kind", sorted(GATEWAY_ANSWERS))
def test_a_gateways_own_answer_has_the_error_that_openais_clients_read(stack, kind):
    response = stack.api.responses[kind]
    said = json.loads(response.body.replace("$context.error.messageString", '"…"'))
    transport = httpx2.MockTransport(lambda _: httpx2.Response(response.status, json=said))
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))
    with client, pytest.raises(openai.APIStatusError) as refused:
        client.models.list()
    code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(response.status, said["code"])

    assert (refused.value.body["message"], refused.value.code, refused.value.param) == (said["detail"], code, None)


# The answers that depend on the client; OpenAI's SDKs go by the status alone.
TYPES_OF_ANTHROPIC = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


@pytest.mark.parametrize("kind", sorted(GATEWAY_ANSWERS))
def test_a_gateways_own_answer_has_the_error_that_anthropics_clients_read(stack, kind):
    response = stack.api.responses[kind]
    said = json.loads(response.body.replace("$context.error.messageString", '"…"'))
    transport = httpx2.MockTransport(lambda _: httpx2.Response(response.status, json=said))
    client = anthropic.Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))
    with client, pytest.raises(anthropic.APIStatusError) as refused:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hello"}])
    kind = TYPES_OF_ANTHROPIC.get(response.status, said["error"]["type"])

    assert (refused.value.api_message, refused.value.type) == (said["detail"], kind)


@pytest.mark.parametrize(
    ("origins", "header"),
    [("*", "*"), ("https://a.example", "https://a.example"), ("https://a.example,https://b.example", "*")],
)
def test_the_preflight_serves_any_page_unless_a_single_origin_is_allowed(origins, header):
    stack = load(TEMPLATE, overrides={"AllowedOrigin": origins})
    (preflight,) = [route for route in stack.api.routes if (route.method, route.path) == ("OPTIONS", "/mcp")]
    headers = preflight.integration.headers

    assert headers["Access-Control-Allow-Origin"] == header
    named = {"Authorization", "MCP-Protocol-Version", "X-Api-Key", "Anthropic-Version", "Anthropic-Beta", "*"}

    assert named | {"Anthropic-Dangerous-Direct-Browser-Access"} <= set(headers["Access-Control-Allow-Headers"].split(","))


@pytest.mark.parametrize("kind", sorted(GATEWAY_ANSWERS))
def test_pages_may_read_a_gateways_own_answer(stack, kind):
    headers = stack.api.responses[kind].headers

    assert headers["X-Request-Id"] == "context.requestId"
    assert headers["Strict-Transport-Security"] == "'max-age=31536000'"
    assert headers["X-Content-Type-Options"] == "'nosniff'"
    # A directive without a value allows nothing (CSP 3, 6.7.2.5).
    assert headers["Content-Security-Policy"] == "'default-src; base-uri; form-action; frame-ancestors'"
    assert headers["Referrer-Policy"] == "'no-referrer'"
    assert (
        headers["Access-Control-Expose-Headers"]
        == "'X-Request-Id,Retry-After,X-Conversation-Id,Server-Timing,WWW-Authenticate,X-Should-Retry'"
    )
    assert "Access-Control-Allow-Origin" in headers


@pytest.mark.parametrize("kind", sorted(GATEWAY_ANSWERS))
def test_who_should_come_back_is_told_when(stack, kind):
    response = stack.api.responses[kind]

    assert ("Retry-After" in response.headers) == (response.status in (429, 503))


def test_an_authorizer_that_fails_is_not_the_clients_fault(stack):
    response = stack.api.responses["AUTHORIZER_FAILURE"]

    assert (response.status, response.headers["Retry-After"], '"code":"unavailable"' in response.body) == (503, "'2'", True)


def access_log(translated):
    (stage,) = (resource["Properties"] for resource in translated["Resources"].values() if resource["Type"] == "AWS::ApiGateway::Stage")
    return stage["AccessLogSetting"]["Fn::If"]


def test_the_access_log_says_who_asked_for_which_route_and_never_what(translated):
    condition, setting, otherwise = access_log(translated)

    assert (condition, otherwise) == ("LogsAccess", {"Ref": "AWS::NoValue"})
    assert json.loads(setting["Format"]) == {
        "requestId": "$context.requestId",
        "ip": "$context.identity.sourceIp",
        "method": "$context.httpMethod",
        "resourcePath": "$context.resourcePath",
        "status": "$context.status",
        "responseLatency": "$context.responseLatency",
        "integrationErrorMessage": "$context.integrationErrorMessage",
        "principalId": "$context.authorizer.principalId",
    }


def test_the_accounts_log_role_is_made_only_on_request_and_then_stays(translated):
    for name in ("ApiGatewayLogRole", "ApiGatewayAccount"):
        resource = translated["Resources"][name]
        assert (resource["Condition"], resource["DeletionPolicy"]) == ("ManagesLogRole", "Retain")

    assert translated["Parameters"]["ManageApiGatewayLogRole"]["Default"] == "no"


def test_a_models_key_is_never_echoed(translated):
    keys = {name: declared for name, declared in translated["Parameters"].items() if name.endswith("ApiKey")}

    assert len(keys) == 4
    assert all(declared["NoEcho"] is True for declared in keys.values())


def test_no_function_reserves_concurrency_since_new_accounts_have_none_to_spare(translated):
    for resource in translated["Resources"].values():
        assert "ReservedConcurrentExecutions" not in resource["Properties"]


def test_the_schedule_bears_the_name_that_others_rely_on(stack):
    assert {one.name: one.function for one in stack.schedules}["SummarizeSchedule"] == "SummarizeFunction"


def test_each_function_has_a_role_of_its_own(translated):
    roles = [r["Properties"]["Role"]["Fn::GetAtt"][0] for r in translated["Resources"].values() if r["Type"] == "AWS::Lambda::Function"]

    assert len(roles) == len(set(roles)) == len(NAMES)


def test_the_authorizer_reaches_neither_database_nor_keys(stack):
    assert not [name for name in stack.functions["AuthorizerFunction"].environment if "DATABASE" in name or "KEYS" in name]


def test_the_tool_runner_may_write_its_own_log_and_is_reached_by_no_event(stack, translated):
    role = translated["Resources"]["ToolrunnerFunctionRole"]["Properties"]
    routes = [route for route in stack.api.routes if getattr(route.integration, "function", "") == "ToolrunnerFunction"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]

    assert (len(role["Policies"]), role.get("ManagedPolicyArns")) == (1, None)
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == {"Fn::GetAtt": ["ToolLogGroup", "Arn"]}
    assert "VpcConfig" not in translated["Resources"]["ToolrunnerFunction"]["Properties"]
    assert (routes, stack.functions["ToolrunnerFunction"].is_isolated, stack.functions["ToolrunnerFunction"].timeout_s) == ([], True, 10)


def test_follow_up_gives_way_to_requests_and_documents_give_way_to_all(stack):
    niceness = {name: function.niceness for name, function in stack.functions.items() if function.niceness}

    assert niceness == {"SummarizeFunction": 5, "UpkeepFunction": 5, "IngestFunction": 15}


def test_the_embedder_may_only_write_its_log_and_is_reached_by_no_event(stack, observed, translated):
    role = translated["Resources"]["EmbedderFunctionRole"]["Properties"]
    routes = [route for route in stack.api.routes if getattr(route.integration, "function", "") == "EmbedderFunction"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    environment = observed.functions["EmbedderFunction"].environment

    assert (len(role["Policies"]), role.get("ManagedPolicyArns")) == (1, None)
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert "VpcConfig" not in translated["Resources"]["EmbedderFunction"]["Properties"]
    assert (routes, stack.functions["EmbedderFunction"].is_isolated) == ([], True)
    assert {value for name, value in environment.items() if name.startswith("PARLEY_")} == {"", "on", "parley"}


def test_the_functions_that_embed_may_invoke_exactly_the_embedder(translated):
    embedder = {"Fn::GetAtt": ["EmbedderFunction", "Arn"]}
    callers = {
        name: allowed["Action"]
        for name, resource in translated["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
        for policy in resource["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        for allowed in [statement.get("Fn::If", [None, statement])[1]]
        if embedder in (allowed.get("Resource"), [allowed.get("Resource")])
    }

    assert callers == {
        f"{name}FunctionRole": "lambda:InvokeFunction" for name in ("Chat", "Conversation", "Documents", "Ingest", "Summarize", "Tools")
    }


def test_the_tool_runner_is_told_of_no_database_no_key_and_no_queue(observed):
    environment = observed.functions["ToolrunnerFunction"].environment
    keys = {"PARLEY_TRACES_ENDPOINT", "PARLEY_TRACES_HEADERS", "PARLEY_SENTRY_DSN"}

    assert {environment[name] for name in keys} == {""}
    assert set(environment) - keys == {
        *("POWERTOOLS_LOG_LEVEL", "POWERTOOLS_SERVICE_NAME", "PARLEY_STACK", "PARLEY_METRICS"),
        *("PARLEY_TOOL_ALLOWED_HOSTS", "PARLEY_GEOCODING_URL", "PARLEY_FORECAST_URL", "PARLEY_CALLS_MCP"),
    }


def test_requests_do_not_wait_for_telemetry_in_the_authorizer(observed):
    functions = observed.functions

    assert functions["AuthorizerFunction"].environment["PARLEY_TRACES_ENDPOINT"] == ""
    assert functions["ChatFunction"].environment["PARLEY_TRACES_ENDPOINT"] == TELEMETRY["TracesEndpoint"]


def test_the_layer_of_telemetry_is_attached_only_if_it_is_used(stack, observed):
    with_telemetry = observed.functions["ChatFunction"].layers

    assert [layer.name for layer in stack.functions["ChatFunction"].layers] == ["shared"]
    assert [layer.name for layer in with_telemetry] == ["shared", "telemetry"]


def test_events_are_never_logged_whole(stack):
    for function in stack.functions.values():
        assert "POWERTOOLS_LOGGER_LOG_EVENT" not in function.environment


def test_the_architecture_is_a_parameter_that_every_function_follows(translated):
    parameter = translated["Parameters"]["Architecture"]
    functions = [r["Properties"]["Architectures"] for r in translated["Resources"].values() if r["Type"] == "AWS::Lambda::Function"]

    assert (parameter["Default"], parameter["AllowedValues"]) == ("arm64", ["arm64", "x86_64"])
    assert all(architectures == [{"Ref": "Architecture"}] for architectures in functions)


def test_every_parameter_is_told_in_the_guide_to_deploying(translated):
    guide = (ROOT / "docs" / "deploy.md").read_text()

    assert [name for name in translated["Parameters"] if f"`{name}" not in guide] == []


def test_the_api_has_one_stage_and_it_is_throttled_and_logged(translated):
    resources = translated["Resources"].values()
    (stage,) = (one["Properties"] for one in resources if one["Type"] == "AWS::ApiGateway::Stage")
    (deployment,) = (one["Properties"] for one in resources if one["Type"] == "AWS::ApiGateway::Deployment")

    # A deployment with a stage name creates a stage of its own, without the settings of the other.
    assert "StageName" not in deployment
    assert stage["MethodSettings"][0]["ThrottlingRateLimit"] == {"Ref": "ThrottlePerSecond"}
    assert "AccessLogSetting" in stage


def test_every_deployment_updates_the_stage_since_parameters_do_not_change_the_definition(translated):
    def deployment(template):
        return [name for name, one in template["Resources"].items() if one["Type"] == "AWS::ApiGateway::Deployment"]

    assert deployment(translated) != deployment(translate(source.read_source(ROOT / "template.yaml"), {}))


def test_nothing_depends_on_a_resource_that_may_not_exist(translated):
    conditional = {name for name, resource in translated["Resources"].items() if "Condition" in resource}
    for name, resource in translated["Resources"].items():
        needs = resource.get("DependsOn", [])
        needed = conditional.intersection([needs] if isinstance(needs, str) else needs)
        assert {translated["Resources"][one]["Condition"] for one in needed} <= {resource.get("Condition")}, name


def test_the_stage_waits_for_the_accounts_log_role_that_this_stack_makes(translated):
    _, setting, _ = access_log(translated)
    when_made, otherwise = setting["DestinationArn"]["Fn::If"][1:]

    assert {"Ref": "ApiGatewayAccount"} in when_made["Fn::Select"][1]
    assert otherwise == {"Fn::GetAtt": ["LogGroup", "Arn"]}


def test_metrics_of_each_method_are_billed_and_off_unless_asked_for(translated):
    assert translated["Parameters"]["MethodMetrics"]["Default"] == "off"


def test_functions_whose_jobs_send_jobs_are_not_stopped_as_loops(stack, translated):
    loops = {name for name in NAMES if translated["Resources"][name]["Properties"].get("RecursiveLoop") == "Allow"}

    assert loops == {"IngestFunction", "SummarizeFunction", "UpkeepFunction"}
    assert {mapping.function for mapping in stack.event_sources} == loops


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_lambda_keeps_the_lines_that_the_functions_write_at_the_chosen_level(level):
    stack = load(ROOT / "template.yaml", overrides={"LogLevel": level})

    for function in stack.functions.values():
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html: a line without a level, such as one of
        # metrics, counts as INFO.
        assert function.log_level == ("DEBUG" if level == "DEBUG" else "INFO")
        assert function.environment["POWERTOOLS_LOG_LEVEL"] == level


@pytest.mark.parametrize(
    "version",
    ["Auto", "FunctionUpdate", "arn:aws:lambda:eu-west-1::runtime:0cdcfbdefbc5e7d3343f73c2e2dd3cba17d61dea0686b404502a0c9ce83931b9"],
)
def test_the_runtime_can_be_pinned(translated, version):
    resolver = Resolver(translated, {"RuntimeVersion": version})
    setting = resolver.value(translated["Resources"]["ChatFunction"]["Properties"]["RuntimeManagementConfig"])

    assert setting == (
        {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": version} if version.startswith("arn") else {"UpdateRuntimeOn": version}
    )
