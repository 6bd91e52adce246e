"""What `Ref` and `Fn::GetAtt` give for a resource of the stack."""

from typing import Any

from local.template.pseudo import ACCOUNT, API_ID, REGION, function_arn
from local.template.source import Fragment


def ref(name: str, resource: Fragment) -> Any:
    """Return what `Ref` gives: the name of most things, the ARN or the id of some."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    if kind == "AWS::Lambda::Alias":
        return {"Fn::Sub": f"${{{_target(properties['FunctionName'])}.Arn}}:{properties['Name']}"}
    if kind == "AWS::ApiGateway::RestApi":
        return API_ID
    if kind == "AWS::ApiGateway::Stage":
        return properties["StageName"]
    return name


def attribute(name: str, resource: Fragment, key: str) -> str:
    """Return what `Fn::GetAtt` gives; of what is not emulated, a value that only looks right."""
    if key != "Arn":
        return f"{name}.{key}"
    kind = resource["Type"]
    if kind == "AWS::Lambda::Function":
        return function_arn(name)
    service = kind.split("::")[1].lower()
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def _target(function: Any) -> str:
    return str(function["Ref"] if isinstance(function, dict) else function)
