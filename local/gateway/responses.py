"""The gateway's own answers in the template's words.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
"""

import json
import re
from collections.abc import Mapping

from local.gateway.exchange import Exchange
from local.gateway.refusal import Refusal, Reply
from local.template.stack import GatewayResponse

_PLAIN = GatewayResponse(None, {}, '{"message":$context.error.messageString}')
_VARIABLE = re.compile(r"\$context\.((?:\w+\.)*\w+)")


class Responses:
    """Words a refusal; a type that the template leaves out looks like DEFAULT_4XX or DEFAULT_5XX, else like AWS's own."""

    def __init__(self, written: Mapping[str, GatewayResponse], *, stage: str) -> None:
        self._written = written
        self._stage = stage

    def reply(self, refusal: Refusal, exchange: Exchange) -> Reply:
        default = self._written.get("DEFAULT_5XX" if refusal.status >= 500 else "DEFAULT_4XX", _PLAIN)
        response = self._written.get(refusal.kind, default)
        variables = self._variables(refusal, exchange)
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": refusal.error_type}
        headers |= {name: _header(value, variables, exchange) for name, value in response.headers.items()}
        template = response.body if response.body is not None else _PLAIN.body or ""
        body = _VARIABLE.sub(lambda match: variables.get(match[1], ""), template)
        if refusal.tells:
            body = _telling(body, refusal.reason)
        return Reply(response.status or default.status or refusal.status, list(headers.items()), body.encode())

    def _variables(self, refusal: Refusal, exchange: Exchange) -> dict[str, str]:
        return {
            "error.message": refusal.message,
            "error.messageString": json.dumps(refusal.message),
            "error.responseType": refusal.kind,
            "extendedRequestId": exchange.request_id,
            "httpMethod": exchange.method,
            "identity.sourceIp": exchange.peer,
            "path": f"/{self._stage}{exchange.path}",
            "requestId": exchange.request_id,
            "resourcePath": exchange.route.path if exchange.route else "",
            "stage": self._stage,
        }


def _telling(body: str, reason: str) -> str:
    """Return a JSON document with the reason for its detail or message; AWS never tells it."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    field = next((name for name in ("detail", "message") if name in document), None) if isinstance(document, dict) else None
    return json.dumps(document | {field: reason}) if field else body


def _header(value: str, variables: Mapping[str, str], exchange: Exchange) -> str:
    """Return the value of a mapping: `'text'`, `context.…` or `method.request.header.…`."""
    if value.startswith("'"):
        return value[1:-1]
    if value.startswith("context."):
        return variables.get(value.removeprefix("context."), "")
    return exchange.header(value.removeprefix("method.request.header."))
