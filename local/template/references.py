"""References in a template: the values of `Ref` and `Fn::GetAtt`, and the check that every name exists."""

import re
from collections.abc import Iterator
from typing import Any

from local.template.errors import Problem
from local.template.pseudo import ACCOUNT, API_ID, PSEUDO, REGION, STACK, function_arn, queue_arn
from local.template.source import Fragment, TemplateSource

_PLACEHOLDER = re.compile(r"\$\{(?!!)\s*([^}\s]+)\s*\}")
QUEUE_TYPE = "AWS::SQS::Queue"
BUCKET_TYPE = "AWS::S3::Bucket"


def check_references(source: TemplateSource, translated: Fragment) -> None:
    """Raise `TemplateInvalid` if a Ref, Fn::GetAtt or Fn::Sub names neither a parameter nor a resource."""
    known = {"AWS::NoValue", *PSEUDO, *(source.content.get("Parameters") or {})}
    known |= source.content["Resources"].keys() | translated["Resources"].keys()
    problems = [_unknown_name(source, path, name) for path, name in _references(source.content, ()) if name.split(".")[0] not in known]
    if problems:
        raise source.invalid(*problems)


def _unknown_name(source: TemplateSource, path: tuple[str | int, ...], name: str) -> Problem:
    owner = str(path[1]) if path[0] == "Resources" and len(path) > 1 else str(path[0])
    return Problem(owner, source.line(*path), f"{name!r} is neither a parameter nor a resource of this template")


def _references(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the path of each reference and the name in it."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _references(item, (*path, index))
    if isinstance(node, dict):
        for name in _referenced_names(node):
            yield path, name
        for key, item in node.items():
            yield from _references(item, (*path, key))


def _referenced_names(node: Fragment) -> list[str]:
    if len(node) != 1:
        return []
    key, argument = next(iter(node.items()))
    if key == "Ref" and isinstance(argument, str):
        return [argument]
    if key == "Fn::GetAtt":
        return [str(argument[0] if isinstance(argument, list) else argument)]
    if key == "Fn::Sub":
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        return [name for name in _PLACEHOLDER.findall(text) if name not in variables]
    return []


def ref_value(name: str, resource: Fragment, *, queues_url: str) -> Any:
    """Return the value of `Ref` to a resource: its name, or for some types its ARN, id or URL."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    if kind == "AWS::Lambda::Alias":
        return {"Fn::Sub": f"${{{_target_function(properties['FunctionName'])}.Arn}}:{properties['Name']}"}
    if kind == "AWS::ApiGateway::RestApi":
        return API_ID
    if kind == "AWS::ApiGateway::Stage":
        return properties["StageName"]
    if kind == QUEUE_TYPE:
        return _name_substitution(f"{queues_url}/{ACCOUNT}/${{name}}", queue_name(name, properties))
    if kind == BUCKET_TYPE:
        return bucket_name(name, properties)
    return name


def attribute_value(name: str, resource: Fragment, key: str) -> Any:
    """Return the value of `Fn::GetAtt`. If the resource type is not emulated, the value is a placeholder of the right form."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    match kind, key:
        case "AWS::SQS::Queue", "QueueName":
            return queue_name(name, properties)
        case "AWS::SQS::Queue", "Arn":
            return _name_substitution(queue_arn("${name}"), queue_name(name, properties))
        case "AWS::S3::Bucket", "Arn":
            return _name_substitution("arn:aws:s3:::${name}", bucket_name(name, properties))
        case "AWS::Lambda::Function", "Arn":
            return function_arn(name)
        case _, "Arn":
            return f"arn:aws:{kind.split('::')[1].lower()}:{REGION}:{ACCOUNT}:{name}"
    return f"{name}.{key}"


def queue_name(name: str, properties: Fragment) -> Any:
    """Return the name of a queue: its QueueName, else its logical id (with `.fifo` for a FIFO queue)."""
    return properties.get("QueueName", f"{name}.fifo" if properties.get("FifoQueue") else name)


def bucket_name(name: str, properties: Fragment) -> Any:
    """Return the name of a bucket: its BucketName, else stack name and logical id in lower case, as S3 requires."""
    return properties.get("BucketName", f"{STACK}-{name}".lower())


def _name_substitution(text: str, name: Any) -> Fragment:
    return {"Fn::Sub": [text, {"name": name}]}


def _target_function(function: Any) -> str:
    return str(function["Ref"] if isinstance(function, dict) else function)
