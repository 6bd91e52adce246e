"""CloudFormation's intrinsic functions."""

from typing import Any

import pytest

from local.template.errors import Unresolvable
from local.template.resolve import Resolver

TEMPLATE = {
    "Conditions": {
        "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
        "IsOther": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "IsOther"}]},
        "Either": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsOther"}]},
    },
    "Mappings": {"Sizes": {"prod": {"memory": 1024}}},
    "Resources": {
        "Api": {"Type": "AWS::ApiGateway::RestApi"},
        "Work": {"Type": "AWS::Lambda::Function"},
        "Live": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Work"}, "Name": "live"}},
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Named": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${Stage}-work"}}},
        "Ordered": {"Type": "AWS::SQS::Queue", "Properties": {"FifoQueue": True}},
        "Topic": {"Type": "AWS::SNS::Topic"},
        "FilesBucket": {"Type": "AWS::S3::Bucket"},
        "NamedBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Fn::Sub": "${Stage}-files"}}},
    },
}
WORK_ARN = "arn:aws:lambda:us-east-1:123456789012:function:Work"


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"Ref": "Stage"}, "prod"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "Api"}, "local"),
        ({"Ref": "Live"}, f"{WORK_ARN}:live"),
        ({"Fn::GetAtt": ["Work", "Arn"]}, WORK_ARN),
        ({"Fn::GetAtt": "Work.Arn"}, WORK_ARN),
        ({"Ref": "Queue"}, "http://sqs.test/123456789012/Queue"),
        ({"Ref": "Named"}, "http://sqs.test/123456789012/prod-work"),
        ({"Ref": "Ordered"}, "http://sqs.test/123456789012/Ordered.fifo"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:aws:sqs:us-east-1:123456789012:Queue"),
        ({"Fn::GetAtt": ["Named", "Arn"]}, "arn:aws:sqs:us-east-1:123456789012:prod-work"),
        ({"Fn::GetAtt": ["Named", "QueueName"]}, "prod-work"),
        ({"Fn::GetAtt": ["Topic", "Arn"]}, "arn:aws:sns:us-east-1:123456789012:Topic"),
        ({"Ref": "FilesBucket"}, "parley-filesbucket"),
        ({"Ref": "NamedBucket"}, "prod-files"),
        ({"Fn::Sub": "${FilesBucket.Arn}/*"}, "arn:aws:s3:::parley-filesbucket/*"),
        ({"Fn::GetAtt": ["NamedBucket", "Arn"]}, "arn:aws:s3:::prod-files"),
        ({"Fn::Sub": "${Stage}-${AWS::AccountId}-${!Kept}"}, "prod-123456789012-${Kept}"),
        ({"Fn::Sub": ["${a}/${Work.Arn}", {"a": {"Ref": "Stage"}}]}, f"prod/{WORK_ARN}"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}]]}, "a-prod"),
        ({"Fn::If": ["IsProd", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsOther", "yes", "no"]}, "no"),
        ({"Fn::If": ["Both", "yes", "no"]}, "no"),
        ({"Fn::If": ["Either", "yes", "no"]}, "yes"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b,c"]}]}, "b"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 1024),
        ({"Fn::Base64": "abc"}, "YWJj"),
        ({"kept": 1, "gone": {"Ref": "AWS::NoValue"}}, {"kept": 1}),
        ([1, {"Fn::If": ["IsOther", 2, {"Ref": "AWS::NoValue"}]}], [1]),
    ],
)
def test_a_function_gives_what_cloudformation_gives(node: Any, value: Any) -> None:
    assert Resolver(TEMPLATE, {"Stage": "prod"}, queues_url="http://sqs.test").value(node) == value


@pytest.mark.parametrize(
    ("node", "named"),
    [
        ({"Ref": "Nobody"}, "Nobody"),
        ({"Fn::GetAtt": ["Nobody", "Arn"]}, "Nobody"),
        ({"Fn::Sub": "${Nobody}"}, "Nobody"),
        ({"Fn::If": ["Nobody", 1, 2]}, "Nobody"),
        ({"Fn::ImportValue": "other"}, "Fn::ImportValue"),
        ({"Fn::Select": [7, ["a"]]}, "Fn::Select"),
    ],
)
def test_what_cannot_be_worked_out_says_what_it_was(node: Any, named: str) -> None:
    with pytest.raises(Unresolvable, match=named):
        Resolver(TEMPLATE, {}).value(node)
