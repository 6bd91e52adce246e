"""An authorizer whose result the token selects: `allow`, `deny:…`, `only`, `nobody`, `malformed`, `fail`."""

import json
import os


def handler(event, context):
    token = event["headers"].get("Authorization") or event["headers"].get("X-Api-Key", "nobody")
    stage_arn = "/".join(event["methodArn"].split("/")[:2])
    if token == "nobody":
        raise Exception("Unauthorized")
    if token == "fail":
        raise ValueError("the authorizer broke")
    if token == "malformed":
        return {"principalId": "someone"}
    statements = [_statement("Allow", event["methodArn"] if token == "only" else f"{stage_arn}/*/*")]
    if token == "deny":
        statements.append(_statement("Deny", f"{stage_arn}/GET/closed/s?cret"))
    if token == "nothing":
        statements = []
    seen = {"pid": os.getpid(), "admin": True, "token": token, "event": json.dumps(event)}
    return {"principalId": "someone", "policyDocument": {"Version": "2012-10-17", "Statement": statements}, "context": seen}


def _statement(effect, resource):
    return {"Effect": effect, "Action": "execute-api:Invoke", "Resource": [resource]}
