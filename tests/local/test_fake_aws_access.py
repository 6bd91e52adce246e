"""Access control of the AWS stand-in: signatures for programs, nothing for web pages."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.services.aws_signature import AwsCredentials, signed_headers
from tests.local.aws_process import UPLOAD_ORIGIN, AwsProcess

FOREIGN = "http://evil.example"
# The header that any web page could send before there were credentials.
FORGED = "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=" + 64 * "0"
PARAMETER = json.dumps({"Name": "/p/key", "WithDecryption": True}).encode()
GET_PARAMETER = {"X-Amz-Target": "AmazonSSM.GetParameter", "Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsProcess]:
    with AwsProcess.started(tmp_path_factory.mktemp("aws")) as cloud:
        cloud.call("ssm", "PutParameter", Name="/p/key", Value="the signing key", Type="SecureString")
        cloud.request("s3", "PUT", "/files")
        cloud.request("s3", "PUT", "/files/a", content=b"kept")
        yield cloud


def ask_for_the_key(cloud: AwsProcess, credentials: AwsCredentials, **headers: str) -> httpx2.Response:
    url = cloud.url + "/"
    signed = signed_headers(credentials, service="ssm", method="POST", url=url, body=PARAMETER, headers=GET_PARAMETER)
    return httpx2.post(url, content=PARAMETER, headers=signed | headers)


def presigned(cloud: AwsProcess, path: str, *, lifetime_s: int = 60, method: str = "GET") -> str:
    request = AWSRequest(method=method, url=cloud.url + path)
    S3SigV4QueryAuth(Credentials(*cloud.credentials.environment.values()), "s3", "us-east-1", lifetime_s).add_auth(request)
    return str(request.url)


def form(cloud: AwsProcess, key: str, *, lifetime_s: int = 60) -> dict[str, str]:
    request = AWSRequest(method="POST", url=f"{cloud.url}/files")
    expiration = (datetime.now(UTC) + timedelta(seconds=lifetime_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    request.context["s3-presign-post-fields"] = {"key": key}
    request.context["s3-presign-post-policy"] = {"expiration": expiration, "conditions": [{"bucket": "files"}, {"key": key}]}
    S3SigV4PostAuth(Credentials(*cloud.credentials.environment.values()), "s3", "us-east-1").add_auth(request)
    fields: dict[str, str] = request.context["s3-presign-post-fields"]
    return fields


def upload(cloud: AwsProcess, fields: dict[str, str], **headers: str) -> httpx2.Response:
    return httpx2.post(f"{cloud.url}/files", data=fields, files={"file": ("f", b"uploaded")}, headers=headers)


def cors_headers(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("key_id", ["local", "x", "{own}"])
def test_a_web_page_reads_no_parameter(cloud: AwsProcess, key_id: str) -> None:
    own = cloud.credentials.aws_access_key_id
    headers = GET_PARAMETER | {"Authorization": FORGED.format(key_id.format(own=own)), "Origin": FOREIGN}
    answer = httpx2.post(cloud.url + "/", content=PARAMETER, headers=headers)

    assert answer.status_code == 403
    assert "the signing key" not in answer.text
    assert not cors_headers(answer)


@pytest.mark.parametrize(
    "page",
    [{"Origin": FOREIGN}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": UPLOAD_ORIGIN}],
)
def test_a_web_page_is_refused_even_with_a_valid_signature(cloud: AwsProcess, page: dict[str, str]) -> None:
    answer = ask_for_the_key(cloud, cloud.credentials, **page)

    assert (answer.status_code, answer.json()["__type"]) == (403, "AccessDeniedException")
    assert not cors_headers(answer)


def test_a_program_with_the_credentials_of_the_run_is_served(cloud: AwsProcess) -> None:
    assert ask_for_the_key(cloud, cloud.credentials).json()["Parameter"]["Value"] == "the signing key"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:{port}", "localhost:1"])
def test_a_host_name_that_is_rebound_to_this_machine_is_refused(cloud: AwsProcess, host: str) -> None:
    host = host.format(port=cloud.url.rpartition(":")[2])
    url = f"http://{host}/"
    signed = signed_headers(cloud.credentials, service="ssm", method="POST", url=url, body=PARAMETER, headers=GET_PARAMETER)
    answer = httpx2.post(cloud.url + "/", content=PARAMETER, headers=signed | {"Host": host})

    assert answer.status_code == 403
    assert "does not name this server" in answer.text


@pytest.mark.parametrize(
    "credentials",
    [AwsCredentials("local", "local"), AwsCredentials("{own}", "guessed"), AwsCredentials.create()],
    ids=["old", "id", "other"],
)
def test_credentials_of_another_run_open_nothing(cloud: AwsProcess, credentials: AwsCredentials) -> None:
    own = cloud.credentials.aws_access_key_id
    guessed = AwsCredentials(credentials.aws_access_key_id.format(own=own), credentials.aws_secret_access_key)

    assert ask_for_the_key(cloud, guessed).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/files"), ("GET", "/files/a"), ("PUT", "/files/a"), ("DELETE", "/files/a"), ("GET", "/_local/state")],
)
def test_an_unsigned_request_is_refused(cloud: AwsProcess, method: str, path: str) -> None:
    answer = httpx2.request(method, cloud.url + path)

    assert answer.status_code == 403
    assert "aws-credentials" in answer.text


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/data.json", "/latest/meta-data/", "/_local/state"])
def test_motos_own_pages_need_a_signature_too(cloud: AwsProcess, path: str) -> None:
    assert httpx2.get(cloud.url + path).status_code == 403
    assert httpx2.post(cloud.url + "/moto-api/reset").status_code == 403


def test_a_signature_covers_the_body(cloud: AwsProcess) -> None:
    url = cloud.url + "/"
    signed = signed_headers(cloud.credentials, service="ssm", method="POST", url=url, body=b"{}", headers=GET_PARAMETER)

    assert httpx2.post(url, content=PARAMETER, headers=signed).status_code == 403


@pytest.mark.parametrize("page", [{}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_presigned_url_works_as_a_link_from_any_page(cloud: AwsProcess, page: dict[str, str]) -> None:
    answer = httpx2.get(presigned(cloud, "/files/a"), headers=page)

    assert (answer.status_code, answer.text) == (200, "kept")
    assert not cors_headers(answer)


def test_a_script_of_a_page_may_not_follow_a_presigned_url(cloud: AwsProcess) -> None:
    assert httpx2.get(presigned(cloud, "/files/a"), headers={"Origin": FOREIGN}).status_code == 403


def test_a_presigned_url_opens_no_other_object_and_expires(cloud: AwsProcess) -> None:
    assert httpx2.get(presigned(cloud, "/files/a").replace("/files/a", "/files/b")).status_code == 403
    assert httpx2.delete(presigned(cloud, "/files/a")).status_code == 403
    assert httpx2.get(presigned(cloud, "/files/a", lifetime_s=-1)).status_code == 403


def test_the_page_of_the_stack_uploads_with_a_form_and_reads_the_response(cloud: AwsProcess) -> None:
    answer = upload(cloud, form(cloud, "mine"), Origin=UPLOAD_ORIGIN, **{"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == UPLOAD_ORIGIN
    assert cloud.request("s3", "GET", "/files/mine").text == "uploaded"


def test_a_foreign_page_uploads_nothing_even_with_a_form(cloud: AwsProcess) -> None:
    answer = upload(cloud, form(cloud, "theirs"), Origin=FOREIGN)

    assert answer.status_code == 403
    assert not cors_headers(answer)
    assert cloud.request("s3", "GET", "/files/theirs").status_code == 404


@pytest.mark.parametrize(
    "change", [{"policy": "e30="}, {"x-amz-signature": 64 * "0"}, {"x-amz-credential": "local/20260101/us-east-1/s3/aws4_request"}]
)
def test_a_forged_form_uploads_nothing(cloud: AwsProcess, change: dict[str, str]) -> None:
    assert upload(cloud, form(cloud, "forged") | change).status_code == 403
    assert upload(cloud, form(cloud, "forged"), Origin=UPLOAD_ORIGIN).status_code == 204


def test_an_expired_form_uploads_nothing(cloud: AwsProcess) -> None:
    assert upload(cloud, form(cloud, "late", lifetime_s=-60)).status_code == 403


def preflight(cloud: AwsProcess, path: str, *, origin: str, method: str) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return httpx2.options(cloud.url + path, headers=headers)


def test_only_an_upload_from_the_page_of_the_stack_passes_its_preflight(cloud: AwsProcess) -> None:
    allowed = preflight(cloud, "/files", origin=UPLOAD_ORIGIN, method="POST")

    assert allowed.status_code == 204
    assert cors_headers(allowed) == {"access-control-allow-origin": UPLOAD_ORIGIN, "access-control-allow-methods": "POST"}
    for path, origin, method in [("/", UPLOAD_ORIGIN, "POST"), ("/files", FOREIGN, "POST"), ("/files/a", UPLOAD_ORIGIN, "PUT")]:
        refused = preflight(cloud, path, origin=origin, method=method)
        assert (refused.status_code, cors_headers(refused)) == (403, {})
