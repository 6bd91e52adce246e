"""The AWS stand-in, and its state after a restart."""

import io
import stat
from pathlib import Path
from typing import Any

import pytest

from local.services.fake_aws.s3 import S3Snapshot
from local.services.fake_aws.ses import SesSnapshot
from local.services.fake_aws.snapshot import ServiceSnapshot, SnapshotFolder, StoredItem
from local.services.fake_aws.ssm import SsmSnapshot
from tests.local.aws_process import AwsProcess


def put(cloud: AwsProcess, name: str, value: str, **more: Any) -> None:
    cloud.call("ssm", "PutParameter", Name=name, Value=value, Type="SecureString", **more)


def test_parameters_survive_a_kill(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        put(cloud, "/p/key", "one", Tags=[{"Key": "a", "Value": "b"}])
        put(cloud, "/p/key", "two", Overwrite=True)
        put(cloud, "/p/gone", "x")
        cloud.call("ssm", "DeleteParameter", Name="/p/gone")

    with AwsProcess.started(tmp_path) as cloud:
        found = cloud.call("ssm", "GetParametersByPath", Path="/p", WithDecryption=True)["Parameters"]
        history = cloud.call("ssm", "GetParameterHistory", Name="/p/key", WithDecryption=True)["Parameters"]
        tags = cloud.call("ssm", "ListTagsForResource", ResourceType="Parameter", ResourceId="/p/key")["TagList"]

    assert [(one["Name"], one["Value"], one["Type"], one["Version"]) for one in found] == [("/p/key", "two", "SecureString", 2)]
    assert [one["Value"] for one in history] == ["one", "two"]
    assert tags == [{"Key": "a", "Value": "b"}]
    assert stat.S_IMODE((tmp_path / "ssm.json").stat().st_mode) == 0o600


def test_objects_survive_a_kill(tmp_path: Path) -> None:
    with AwsProcess.started(tmp_path) as cloud:
        cloud.request("s3", "PUT", "/files")
        headers = {"Content-Type": "text/plain", "x-amz-meta-from": "me"}
        cloud.request("s3", "PUT", "/files/a/%C3%BC", content=b"one\ntwo", headers=headers)
        cloud.request("s3", "PUT", "/files/gone", content=b"x")
        cloud.request("s3", "DELETE", "/files/gone")

    with AwsProcess.started(tmp_path) as cloud:
        found = cloud.request("s3", "GET", "/files/a/%C3%BC")
        assert (found.content, found.headers["content-type"], found.headers["x-amz-meta-from"]) == (b"one\ntwo", "text/plain", "me")
        assert cloud.request("s3", "GET", "/files/gone").status_code == 404
        assert cloud.buckets() == [{"name": "files", "objects": 1, "bytes": 7}]


def test_who_may_send_mail_survives_a_kill(tmp_path: Path) -> None:
    mail = {"FromEmailAddress": "me@example.com", "Destination": {"ToAddresses": ["you@example.com"]}}
    mail |= {"Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}}
    with AwsProcess.started(tmp_path) as cloud:
        assert cloud.request("ses", "POST", "/v2/email/outbound-emails", json=mail).status_code == 400
        cloud.request("ses", "POST", "/v2/email/identities", json={"EmailIdentity": "me@example.com"})

    with AwsProcess.started(tmp_path) as cloud:
        assert cloud.request("ses", "POST", "/v2/email/outbound-emails", json=mail).status_code == 200
    assert len(list((tmp_path / "mail").glob("*.json"))) == 1


def request(service: str, target: str = "", method: str = "POST", path: str = "/") -> dict[str, Any]:
    scope = f"AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
    return {
        "HTTP_AUTHORIZATION": scope,
        "HTTP_X_AMZ_TARGET": target,
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "wsgi.input": io.BytesIO(),
    }


UNUSED = Path("unused")
SHELVES: dict[str, ServiceSnapshot] = {"ssm": SsmSnapshot(UNUSED), "s3": S3Snapshot(UNUSED), "ses": SesSnapshot(UNUSED)}


@pytest.mark.parametrize(
    ("shelf", "environ", "changes"),
    [
        ("ssm", request("ssm", "AmazonSSM.GetParameter"), False),
        ("ssm", request("ssm", "AmazonSSM.DescribeParameters"), False),
        ("ssm", request("ssm", "AmazonSSM.PutParameter"), True),
        ("ssm", request("ssm", "AmazonSSM.LabelParameterVersion"), True),
        ("ssm", request("dynamodb", "DynamoDB_20120810.PutItem"), False),
        ("s3", request("s3", method="GET"), False),
        ("s3", request("s3", method="PUT"), True),
        ("s3", {"REQUEST_METHOD": "POST", "PATH_INFO": "/bucket"}, True),
        ("s3", request("sqs", "AmazonSQS.SendMessage"), False),
        ("ses", request("ses", path="/v2/email/identities"), True),
        ("ses", request("ses", path="/v2/email/outbound-emails"), False),
    ],
)
def test_only_what_changes_something_is_written(shelf: str, environ: dict[str, Any], changes: bool) -> None:
    assert SHELVES[shelf].changes(environ) is changes


def test_a_cabinet_writes_nothing_twice(tmp_path: Path) -> None:
    files, written = SnapshotFolder(tmp_path), []

    def thing(state: int) -> StoredItem:
        return StoredItem(state, lambda: written.append(state) or b"%d" % state)  # type: ignore[func-returns-value]

    files.replace_all({"a": thing(1), "b": thing(2)})
    files.replace_all({"a": thing(1), "b": thing(3)})
    files.replace_all({"b": thing(3)})
    assert written == [1, 2, 3]
    assert list(files.read()) == [("b", b"3")]
