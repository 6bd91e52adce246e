"""What `Ref` and `Fn::GetAtt` give for a resource of the stack: a value, or a function of the template that gives it."""

from typing import Any

from local.template.pseudo import ACCOUNT, API_ID, REGION, STACK, function_arn, queue_arn
from local.template.source import Fragment

QUEUE, BUCKET = "AWS::SQS::Queue", "AWS::S3::Bucket"


def ref(name: str, resource: Fragment, *, queues_url: str) -> Any:
    """Return what `Ref` gives: the name of most things, the ARN, the id or the URL of some."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    if kind == "AWS::Lambda::Alias":
        return {"Fn::Sub": f"${{{_target(properties['FunctionName'])}.Arn}}:{properties['Name']}"}
    if kind == "AWS::ApiGateway::RestApi":
        return API_ID
    if kind == "AWS::ApiGateway::Stage":
        return properties["StageName"]
    if kind == QUEUE:
        return _filled(f"{queues_url}/{ACCOUNT}/${{name}}", queue_name(name, properties))
    if kind == BUCKET:
        return bucket_name(name, properties)
    return name


def attribute(name: str, resource: Fragment, key: str) -> Any:
    """Return what `Fn::GetAtt` gives; of what is not emulated, a value that only looks right."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    match kind, key:
        case "AWS::SQS::Queue", "QueueName":
            return queue_name(name, properties)
        case "AWS::SQS::Queue", "Arn":
            return _filled(queue_arn("${name}"), queue_name(name, properties))
        case "AWS::S3::Bucket", "Arn":
            return _filled("arn:aws:s3:::${name}", bucket_name(name, properties))
        case "AWS::Lambda::Function", "Arn":
            return function_arn(name)
        case _, "Arn":
            return f"arn:aws:{kind.split('::')[1].lower()}:{REGION}:{ACCOUNT}:{name}"
    return f"{name}.{key}"


def queue_name(name: str, properties: Fragment) -> Any:
    """Return the name of a queue: the template's, else its logical id."""
    return properties.get("QueueName", f"{name}.fifo" if properties.get("FifoQueue") else name)


def bucket_name(name: str, properties: Fragment) -> Any:
    """Return the name of a bucket: the template's, else one of the stack's name and the logical id, as S3 allows it."""
    return properties.get("BucketName", f"{STACK}-{name}".lower())


def _filled(text: str, name: Any) -> Fragment:
    return {"Fn::Sub": [text, {"name": name}]}


def _target(function: Any) -> str:
    return str(function["Ref"] if isinstance(function, dict) else function)
