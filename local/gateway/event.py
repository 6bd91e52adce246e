"""The events that API Gateway hands to functions: the REST proxy event (payload version 1.0) and the authorizer's.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Any

from local.gateway.exchange import Exchange
from local.template.pseudo import ACCOUNT, API_ID, REGION
from local.template.stack import Route

_NOT_KNOWN = (
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


def proxy_event(exchange: Exchange, route: Route, *, stage: str, body: bytes, binary_types: Iterable[str]) -> bytes:
    """Return the event for a route's function as JSON."""
    is_base64 = bool(body) and is_binary(exchange.header("Content-Type"), binary_types)
    text = base64.b64encode(body).decode() if is_base64 else body.decode(errors="replace")
    context = _context(exchange, route, stage)
    if exchange.authorizer is not None:
        context["authorizer"] = exchange.authorizer
    event = {
        **_request(exchange, route, nothing=None),
        "requestContext": context,
        "body": text if body else None,
        "isBase64Encoded": is_base64,
    }
    return json.dumps(event, ensure_ascii=False).encode(errors="replace")


def authorizer_event(exchange: Exchange, route: Route, *, stage: str) -> bytes:
    """Return the event for an authorizer of type REQUEST as JSON."""
    event = {
        "type": "REQUEST",
        "methodArn": method_arn(exchange, stage),
        **_request(exchange, route, nothing={}),
        "requestContext": _context(exchange, route, stage),
    }
    return json.dumps(event, ensure_ascii=False).encode(errors="replace")


def method_arn(exchange: Exchange, stage: str) -> str:
    """Return what a policy's Resource is compared with."""
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API_ID}/{stage}/{exchange.method}/{exchange.path.lstrip('/')}"


def is_binary(content_type: str, binary_types: Iterable[str]) -> bool:
    """Return whether a media type is one of the API's binary ones; `*` stands for any part."""
    kind, _, subtype = content_type.split(";")[0].strip().lower().partition("/")
    for wanted in binary_types:
        main, _, sub = wanted.lower().partition("/")
        if main in ("*", kind) and sub in ("*", subtype):
            return True
    return False


def _request(exchange: Exchange, route: Route, *, nothing: Any) -> dict[str, Any]:
    """Return the fields that both events have; a proxy event has null where there is nothing, an authorizer's has {}."""
    headers, queries = _grouped(exchange.headers), _grouped(exchange.query)
    return {
        "resource": route.path,
        "path": exchange.path,
        "httpMethod": exchange.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in queries.items()} or nothing,
        "multiValueQueryStringParameters": queries or nothing,
        "pathParameters": exchange.path_parameters or nothing,
        "stageVariables": nothing,
    }


def _context(exchange: Exchange, route: Route, stage: str) -> dict[str, Any]:
    host = exchange.header("Host")
    domain = host.rpartition(":")[0] or host
    return {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": domain,
        "domainPrefix": domain.split(".")[0],
        "extendedRequestId": exchange.request_id.replace("-", "")[:15] + "=",
        "httpMethod": exchange.method,
        "identity": {
            **dict.fromkeys(_NOT_KNOWN),
            "sourceIp": exchange.peer,
            "userAgent": exchange.header("User-Agent") or None,
        },
        "path": f"/{stage}{exchange.path}",
        "protocol": exchange.protocol,
        "requestId": exchange.request_id,
        "requestTime": exchange.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(exchange.at.timestamp() * 1000),
        "resourceId": f"{zlib.crc32(route.path.encode()):08x}"[:6],
        "resourcePath": route.path,
        "stage": stage,
    }


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped
