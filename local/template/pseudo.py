"""The fictitious AWS account and region of the emulator, and the ARNs in it."""

REGION = "us-east-1"
ACCOUNT = "123456789012"
STACK = "parley"
API_ID = "local"
QUEUES_URL = f"https://sqs.{REGION}.amazonaws.com"

PSEUDO: dict[str, str] = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/local",
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}


def function_arn(name: str) -> str:
    """Return the ARN of a function, whose name is its logical id."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def queue_arn(name: str) -> str:
    """Return the ARN of the queue with this name."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def function_name(reference: str) -> str:
    """Return the name of the function in `reference`: a name, an ARN or a partial ARN, with or without a qualifier."""
    _, separator, tail = reference.rpartition("function:")
    return (tail if separator else reference.rpartition(f"{ACCOUNT}:")[2]).split(":")[0]
