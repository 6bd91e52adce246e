"""The answers that the gateway gives by itself, as the template words them."""

from local.template.source import Fragment
from local.template.stack import GatewayResponse

_HEADER = "gatewayresponse.header."


def gateway_responses(body: Fragment) -> dict[str, GatewayResponse]:
    """Return the gateway responses of an OpenAPI body by their type, such as `THROTTLED`."""
    written: Fragment = body.get("x-amazon-apigateway-gateway-responses", {})
    return {kind: _response(response) for kind, response in written.items()}


def _response(response: Fragment) -> GatewayResponse:
    status = response.get("statusCode")
    parameters = response.get("responseParameters", {})
    headers = {key.removeprefix(_HEADER): str(value) for key, value in parameters.items() if key.startswith(_HEADER)}
    template = response.get("responseTemplates", {}).get("application/json")
    return GatewayResponse(int(status) if status is not None else None, headers, template)
