"""Read a REST API: its routes, authorizers and gateway responses from the OpenAPI body, and its throttling from the stage."""

from collections.abc import Iterator, Mapping

from local.template.errors import Problem, Unresolvable
from local.template.pseudo import function_name
from local.template.source import Fragment, TemplateSource
from local.template.stack import Authorizer, Function, GatewayResponse, LambdaIntegration, MockIntegration, RateLimit, RestApi, Route

_RESPONSE_HEADER_PREFIX = "gatewayresponse.header."
API_KIND = "AWS::ApiGateway::RestApi"
STAGE_KIND = "AWS::ApiGateway::Stage"
_ANY_METHOD = "x-amazon-apigateway-any-method"
_INTEGRATION = "x-amazon-apigateway-integration"
_DEFAULT_TIMEOUT_MS = 29_000


class MethodThrottles:
    """The throttling settings of a stage; the most specific setting with a rate applies."""

    def __init__(self, settings: list[Fragment]) -> None:
        self._by_method: dict[tuple[str, str], RateLimit] = {}
        for setting in settings:
            rate, burst = setting.get("ThrottlingRateLimit"), setting.get("ThrottlingBurstLimit")
            if rate is not None or burst is not None:
                path = "/" + str(setting["ResourcePath"]).replace("~1", "/").strip("/")
                self._by_method[path, str(setting["HttpMethod"]).upper()] = RateLimit(
                    float(rate or burst or 0), int(float(burst or rate or 0))
                )

    def find(self, path: str, method: str) -> RateLimit | None:
        """Return the limit of `method` on the path template, or None if the method is not limited."""
        keys = [(path, method), (path, "*"), ("/*", method), ("/*", "*")]
        return next((self._by_method[key] for key in keys if key in self._by_method), None)


def read_api(source: TemplateSource, name: str, properties: Fragment, stages: list[Fragment]) -> RestApi:
    """Return the API with these properties, as deployed to the first of `stages`."""
    body: Fragment = properties.get("Body") or {}
    stage = stages[0] if stages else {}
    authorizers = _authorizers(source, name, body.get("securityDefinitions", {}))
    throttles = MethodThrottles(stage.get("MethodSettings", []))
    return RestApi(
        stage=str(stage.get("StageName", "local")),
        routes=tuple(_routes(body, authorizers, throttles)),
        authorizers=authorizers,
        responses=gateway_responses(body),
        binary_types=tuple(kind.replace("~1", "/") for kind in properties.get("BinaryMediaTypes", [])),
    )


def unknown_api_functions(source: TemplateSource, api: RestApi, functions: Mapping[str, Function]) -> list[Problem]:
    """Return a problem for each function that a route or an authorizer names but the stack lacks."""
    called = [route.integration.function for route in api.routes if isinstance(route.integration, LambdaIntegration)]
    called += [authorizer.function for authorizer in api.authorizers.values()]
    missing = sorted(set(called) - functions.keys() - source.content["Resources"].keys())
    return [source.problem(name, "a route or an authorizer invokes this function, but the stack does not define it") for name in missing]


def _routes(body: Fragment, authorizers: Mapping[str, Authorizer], throttles: MethodThrottles) -> Iterator[Route]:
    for path, methods in body.get("paths", {}).items():
        for key, method in methods.items():
            if _INTEGRATION not in method:
                continue
            verb = "ANY" if key == _ANY_METHOD else key.upper()
            yield Route(
                method=verb,
                path=path,
                integration=_integration(method[_INTEGRATION], f"{verb} {path}"),
                authorizer=_authorizer_of(method, authorizers),
                throttle=throttles.find(path, verb),
            )


def _authorizer_of(method: Fragment, authorizers: Mapping[str, Authorizer]) -> str | None:
    names = [name for requirement in method.get("security", []) for name in requirement]
    return next((name for name in names if name in authorizers), None)


def _integration(integration: Fragment, where: str) -> LambdaIntegration | MockIntegration:
    match str(integration.get("type", "")).lower():
        case "aws_proxy":
            return LambdaIntegration(
                function=_integration_function(integration["uri"]),
                is_streaming=integration.get("responseTransferMode") == "STREAM",
                timeout_s=int(integration.get("timeoutInMillis", _DEFAULT_TIMEOUT_MS)) / 1000,
            )
        case "mock":
            return _mock(integration["responses"]["default"])
        case other:
            raise Unresolvable(f"{where} has an integration of type {other!r}; the emulator supports aws_proxy and mock")


def _mock(response: Fragment) -> MockIntegration:
    prefix = "method.response.header."
    headers = {key.removeprefix(prefix): str(value).strip("'") for key, value in response.get("responseParameters", {}).items()}
    body = response.get("responseTemplates", {}).get("application/json", "")
    return MockIntegration(int(response.get("statusCode", 200)), {"Content-Type": "application/json", **headers}, body)


def _integration_function(uri: str) -> str:
    """Return the function's name in an integration URI, `…/functions/<arn>/invocations`."""
    return function_name(uri.split("/functions/")[-1].rpartition("/")[0])


def _authorizers(source: TemplateSource, api: str, definitions: Fragment) -> dict[str, Authorizer]:
    authorizers = {}
    for name, definition in definitions.items():
        settings: Fragment | None = definition.get("x-amazon-apigateway-authorizer")
        if settings is None:
            continue
        if settings.get("type") != "request":
            raise source.invalid(_unsupported_authorizer(source, api, name, f"type {settings.get('type')!r}"))
        authorizers[name] = Authorizer(
            name=name,
            function=_integration_function(settings["authorizerUri"]),
            identity_headers=_identity_headers(source, api, name, settings),
            ttl_s=float(settings.get("authorizerResultTtlInSeconds", 300)),
        )
    return authorizers


def _identity_headers(source: TemplateSource, api: str, name: str, settings: Fragment) -> tuple[str, ...]:
    prefix = "method.request.header."
    expressions = [part.strip() for part in str(settings.get("identitySource", "")).split(",") if part.strip()]
    for expression in expressions:
        if not expression.startswith(prefix):
            raise source.invalid(_unsupported_authorizer(source, api, name, f"identity source {expression!r}"))
    return tuple(expression.removeprefix(prefix) for expression in expressions)


def _unsupported_authorizer(source: TemplateSource, api: str, name: str, feature: str) -> Problem:
    message = f"authorizer {name!r} has {feature}; the emulator supports type REQUEST with identity headers"
    return source.problem(api, message, "Properties", "Auth", "Authorizers", name)


def gateway_responses(body: Fragment) -> dict[str, GatewayResponse]:
    """Return the gateway responses of an OpenAPI body by type, such as `THROTTLED`."""
    responses: Fragment = body.get("x-amazon-apigateway-gateway-responses", {})
    return {kind: _gateway_response(response) for kind, response in responses.items()}


def _gateway_response(response: Fragment) -> GatewayResponse:
    status = response.get("statusCode")
    parameters = response.get("responseParameters", {})
    headers = {
        key.removeprefix(_RESPONSE_HEADER_PREFIX): str(value)
        for key, value in parameters.items()
        if key.startswith(_RESPONSE_HEADER_PREFIX)
    }
    template = response.get("responseTemplates", {}).get("application/json")
    return GatewayResponse(int(status) if status is not None else None, headers, template)
