"""The masks: differences between answers that count and those that do not."""

import json

import pytest

from local.sam_comparison.answers import FunctionAnswer, comparable_text, difference

ONE, OTHER = "01996f6a-1111-7000-8000-000000000001", "01996f6a-2222-7000-8000-000000000002"


def differs(one, other, knowing=({}, {})):
    return difference(comparable_text(FunctionAnswer("200", one), knowing[0]), comparable_text(FunctionAnswer("200", other), knowing[1]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f'{{"id": "{ONE}"}}', f'{{"id": "{OTHER}"}}'),
        ('{"created_at": "2026-11-22T12:00:00.123456Z"}', '{"created_at": "2026-11-22T13:00:00+00:00"}'),
        ('{"access_token": "eyJhbGciOi.eyJzdWI.c2ln-_"}', '{"access_token": "eyJhbGciOi.eyJzdWJ9.YWJj"}'),
        ('{"refresh_token": "prt_abc-_"}', '{"refresh_token": "prt_xyz"}'),
        ('{"client_id": "pcl_gas8sX8-DFII"}', '{"client_id": "pcl_bDyWTPXqU0jO"}'),
        (f'{{"id": "{"a" * 22}", "challenge": "{"b" * 43}"}}', f'{{"id": "{"c" * 22}", "challenge": "{"d" * 43}"}}'),
        ('{"elapsed_ms": 12}', '{"elapsed_ms": 1.25}'),
        ('{"exp": 1795348800}', '{"exp": 1795348900}'),
        ('{"exp": "1795348800"}', '{"exp": "1795348900"}'),
        ('{"kid": "Vb8ezDC9Gylh", "x": "c2lnbmF0dXJl"}', '{"kid": "WEdtp1JQk9YM", "x": "YW5vdGhlci1vbmU"}'),
        (f'data: {{"turn_id":"{ONE}","total_ms":12}}', f'data: {{"turn_id":"{OTHER}","total_ms":340}}'),
        ('{"key": "parley_eyJhbGciOi.eyJzdWI.c2ln-_"}', '{"key": "parley_eyJhbGciOi.eyJzdWJ9.YWJj"}'),
        (f'data: {{"id":"chatcmpl-{"0a" * 16}","created":1}}', f'data: {{"id":"chatcmpl-{"1b" * 16}","created":2}}'),
        (f'{{"id": "resp_{"0a" * 16}", "created_at": 1}}', f'{{"id": "resp_{"1b" * 16}", "created_at": 2}}'),
        (f'{{"id": "msg_{"0a" * 16}_0"}}', f'{{"id": "msg_{"1b" * 16}_0"}}'),
        (f'{{"secret": "{"A2" * 16}", "uri": "x?secret={"A2" * 16}"}}', f'{{"secret": "{"B3" * 16}", "uri": "x?secret={"B3" * 16}"}}'),
        (r'{"qr_svg": "<svg width=\"1\">"}', r'{"qr_svg": "<svg width=\"2\">"}'),
        (f'{{"token": "{"a" * 43}"}}', f'{{"token": "{"b" * 43}"}}'),
        ('{"secret": "whsec_gOVsHQqe/Tn8="}', '{"secret": "whsec_meZd14UV+s4O="}'),
        ("connect-src 'self' http://127.0.0.1:22203;", "connect-src 'self' http://127.0.0.1:22204;"),
        ('{"fields": {"x-amz-security-token": "a", "key": "b"}}', '{"fields": {"key": "b"}}'),
        ('{"a":1,"b":2}', '{"a": 1, "b": 2}'),
    ],
)
def test_what_differs_from_call_to_call_is_the_same(one, other):
    assert differs(one, other) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"status": 401}', '{"status": 403}'),
        (f'{{"id": "{ONE}"}}', '{"id": null}'),
        ('{"elapsed_ms": 12}', '{"elapsed_ms": null}'),
        ('{"exp": 1795348800}', '{"exp": "1795348800"}'),
        ('{"items": [1]}', '{"items": [1, 1]}'),
        ('{"title": "Porto"}', '{"title": "Lisbon"}'),
        ('data: {"text":"a "}\n\ndata: {"text":"b"}', 'data: {"text":"a b"}'),
    ],
)
def test_everything_else_is_a_difference(one, other):
    assert differs(one, other) != ""


def test_a_known_id_keeps_its_meaning():
    assert differs(ONE, OTHER, knowing=({ONE: "user"}, {OTHER: "user"})) == ""
    assert differs(ONE, OTHER, knowing=({ONE: "user"}, {OTHER: "session"})) != ""


def test_headers_and_status_are_compared():
    answer = FunctionAnswer("200", "", {"content-type": ("text/plain",)})

    assert "-content-type: text/plain" in difference(comparable_text(answer, {}), comparable_text(FunctionAnswer("200", ""), {}))
    assert "+500" in difference(comparable_text(answer, {}), comparable_text(FunctionAnswer("500", "", answer.headers), {}))


def test_the_length_of_a_body_may_differ_but_not_whether_it_is_told():
    short, long, untold = (FunctionAnswer("200", "", headers) for headers in ({"content-length": ("9",)}, {"content-length": ("10",)}, {}))

    assert comparable_text(short, {}) == comparable_text(long, {}) != comparable_text(untold, {})


def test_a_json_body_has_a_line_for_each_value():
    body = json.dumps({"title": "Porto", "model": None})

    assert (
        difference(
            comparable_text(FunctionAnswer("200", body), {}), comparable_text(FunctionAnswer("200", body.replace("Porto", "Faro")), {})
        ).count("\n+ ")
        == 1
    )


def test_what_is_signed_differs_from_call_to_call():
    first, second = (
        FunctionAnswer("201", f'{{"upload_url": "http://{host}/files", "fields": {{"policy": "{host}", "x-amz-date": "{host}"}}}}')
        for host in ("127.0.0.1:1", "172.17.0.1:2")
    )

    assert comparable_text(first, {}) == comparable_text(second, {})
