"""From a REST API's OpenAPI body and its stage to routes, authorizers and answers."""

from collections.abc import Iterator, Mapping

from local.template.errors import Problem, Unresolvable
from local.template.pseudo import function_name
from local.template.responses import gateway_responses
from local.template.source import Fragment, Source
from local.template.stack import Api, Authorizer, Function, Invocation, Mock, Route
from local.template.throttles import Throttles

KIND, STAGE = "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage"
_ANY = "x-amazon-apigateway-any-method"
_INTEGRATION = "x-amazon-apigateway-integration"
_DEFAULT_TIMEOUT_MS = 29_000


def read(source: Source, name: str, properties: Fragment, stages: list[Fragment]) -> Api:
    """Return the API that these properties describe, as its first stage serves it."""
    body: Fragment = properties.get("Body") or {}
    stage = stages[0] if stages else {}
    authorizers = _authorizers(source, name, body.get("securityDefinitions", {}))
    throttles = Throttles(stage.get("MethodSettings", []))
    return Api(
        stage=str(stage.get("StageName", "local")),
        routes=tuple(_routes(body, authorizers, throttles)),
        authorizers=authorizers,
        responses=gateway_responses(body),
        binary_types=tuple(kind.replace("~1", "/") for kind in properties.get("BinaryMediaTypes", [])),
    )


def unknown_functions(source: Source, api: Api, functions: Mapping[str, Function]) -> list[Problem]:
    """Return a problem for each route and authorizer whose function the stack lacks."""
    called = [route.integration.function for route in api.routes if isinstance(route.integration, Invocation)]
    called += [authorizer.function for authorizer in api.authorizers.values()]
    missing = sorted(set(called) - functions.keys() - source.content["Resources"].keys())
    return [source.problem(name, "a route or an authorizer names this function, and the stack has none") for name in missing]


def _routes(body: Fragment, authorizers: Mapping[str, Authorizer], throttles: Throttles) -> Iterator[Route]:
    for path, methods in body.get("paths", {}).items():
        for key, method in methods.items():
            if _INTEGRATION not in method:
                continue
            verb = "ANY" if key == _ANY else key.upper()
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


def _integration(integration: Fragment, where: str) -> Invocation | Mock:
    match str(integration.get("type", "")).lower():
        case "aws_proxy":
            return Invocation(
                function=_function(integration["uri"]),
                is_streaming=integration.get("responseTransferMode") == "STREAM",
                timeout_s=int(integration.get("timeoutInMillis", _DEFAULT_TIMEOUT_MS)) / 1000,
            )
        case "mock":
            return _mock(integration["responses"]["default"])
        case other:
            raise Unresolvable(f"{where} has an integration of type {other!r}; functions and mocks run here")


def _mock(response: Fragment) -> Mock:
    prefix = "method.response.header."
    headers = {key.removeprefix(prefix): str(value).strip("'") for key, value in response.get("responseParameters", {}).items()}
    body = response.get("responseTemplates", {}).get("application/json", "")
    return Mock(int(response.get("statusCode", 200)), {"Content-Type": "application/json", **headers}, body)


def _function(uri: str) -> str:
    """Return the function of an integration's URI: `…/functions/<arn>/invocations`."""
    return function_name(uri.split("/functions/")[-1].rpartition("/")[0])


def _authorizers(source: Source, api: str, definitions: Fragment) -> dict[str, Authorizer]:
    found = {}
    for name, definition in definitions.items():
        settings: Fragment | None = definition.get("x-amazon-apigateway-authorizer")
        if settings is None:
            continue
        if settings.get("type") != "request":
            raise source.invalid(_unsupported(source, api, name, f"type {settings.get('type')!r}"))
        found[name] = Authorizer(
            name=name,
            function=_function(settings["authorizerUri"]),
            identity_headers=_identity(source, api, name, settings),
            ttl_s=float(settings.get("authorizerResultTtlInSeconds", 300)),
        )
    return found


def _identity(source: Source, api: str, name: str, settings: Fragment) -> tuple[str, ...]:
    prefix = "method.request.header."
    sources = [one.strip() for one in str(settings.get("identitySource", "")).split(",") if one.strip()]
    for one in sources:
        if not one.startswith(prefix):
            raise source.invalid(_unsupported(source, api, name, f"identity source {one!r}"))
    return tuple(one.removeprefix(prefix) for one in sources)


def _unsupported(source: Source, api: str, name: str, what: str) -> Problem:
    message = f"authorizer {name!r} has {what}; type REQUEST with identity headers runs here"
    return source.problem(api, message, "Properties", "Auth", "Authorizers", name)
