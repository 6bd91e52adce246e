"""API Gateway's events for functions: the REST proxy event (payload version 1.0) and the authorizer event.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Any

from pydantic_core import to_json

from local.gateway.request import GatewayRequest
from local.template.pseudo import ACCOUNT, API_ID, REGION
from local.template.stack import Route

_UNKNOWN_IDENTITY_FIELDS = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)


def proxy_event(request: GatewayRequest, route: Route, *, stage: str, body: bytes, binary_types: Iterable[str]) -> bytes:
    """Return the event for a route's function as JSON."""
    is_base64 = bool(body) and is_binary(request.header("Content-Type"), binary_types)
    text = base64.b64encode(body).decode() if is_base64 else body.decode(errors="replace")
    # Takes two thirds of the time of `json`, during which the emulator serves nobody else: a body may have 6 MB.
    encoded = to_json(text) if body else b"null"
    context = _request_context(request, route, stage)
    if request.authorizer is not None:
        context["authorizer"] = request.authorizer
    event = {
        **_request_fields(request, route, nothing=None),
        "requestContext": context,
        "isBase64Encoded": is_base64,
    }
    return b'{"body":%b,%b' % (encoded, json.dumps(event, ensure_ascii=False).encode(errors="replace")[1:])


def authorizer_event(request: GatewayRequest, route: Route, *, stage: str) -> bytes:
    """Return the event for an authorizer of type REQUEST as JSON."""
    event = {
        "type": "REQUEST",
        "methodArn": method_arn(request, stage),
        **_request_fields(request, route, nothing={}),
        "requestContext": _request_context(request, route, stage),
    }
    return json.dumps(event, ensure_ascii=False).encode(errors="replace")


def method_arn(request: GatewayRequest, stage: str) -> str:
    """Return the ARN of the requested method, to compare with the Resource patterns of a policy."""
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API_ID}/{stage}/{request.method}/{request.path.lstrip('/')}"


def is_binary(content_type: str, binary_types: Iterable[str]) -> bool:
    """Return whether a media type is among the API's binary types; `*` matches any type or subtype."""
    kind, _, subtype = content_type.split(";")[0].strip().lower().partition("/")
    for wanted in binary_types:
        main, _, sub = wanted.lower().partition("/")
        if main in ("*", kind) and sub in ("*", subtype):
            return True
    return False


def _request_fields(request: GatewayRequest, route: Route, *, nothing: Any) -> dict[str, Any]:
    """Return the fields that both events share. `nothing` is the value of empty fields: null for a function, {} for an authorizer."""
    headers, queries = _values_by_name(request.headers), _values_by_name(request.query)
    return {
        "resource": route.path,
        "path": request.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in queries.items()} or nothing,
        "multiValueQueryStringParameters": queries or nothing,
        "pathParameters": request.path_parameters or nothing,
        "stageVariables": nothing,
    }


def _request_context(request: GatewayRequest, route: Route, stage: str) -> dict[str, Any]:
    host = request.header("Host")
    domain = host.rpartition(":")[0] or host
    return {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": domain,
        "domainPrefix": domain.split(".")[0],
        "extendedRequestId": request.request_id.replace("-", "")[:15] + "=",
        "httpMethod": request.method,
        "identity": {
            **dict.fromkeys(_UNKNOWN_IDENTITY_FIELDS),
            "sourceIp": request.peer,
            "userAgent": request.header("User-Agent") or None,
        },
        # The emulator serves at the root, as a custom domain does, so the path has no stage.
        "path": request.path,
        "protocol": request.protocol,
        "requestId": request.request_id,
        "requestTime": request.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(request.at.timestamp() * 1000),
        "resourceId": f"{zlib.crc32(route.path.encode()):08x}"[:6],
        "resourcePath": route.path,
        "stage": stage,
    }


def _values_by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped
