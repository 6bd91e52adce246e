"""Problem documents: what a client reads of an error, and where its own field is."""

import pytest

from parley.errors import Forbidden, InvalidInput, NotFound, ScopeMissing, Unauthorized, Unavailable
from parley.http.problems import _client_loc, _from_validation, error_responses, problem_response, retry_after


@pytest.mark.parametrize(("seconds", "header"), [(0, "1"), (0.2, "1"), (1, "1"), (1.2, "2"), (30, "30")])
def test_a_client_waits_for_whole_seconds_and_at_least_for_one(seconds, header):
    assert retry_after(seconds) == header


@pytest.mark.parametrize(
    ("error", "wait", "challenge"),
    [(Unavailable("x", retry_after_s=0), "1", None), (Unauthorized("x"), None, "Bearer"), (InvalidInput("x"), None, None)],
)
def test_a_response_says_when_to_come_back_and_how_to_sign_in(error, wait, challenge):
    headers = problem_response(error, request_id="r").headers

    assert (headers.get("retry-after"), headers.get("www-authenticate")) == (wait, challenge)


def test_a_route_declares_its_errors_by_their_codes_and_the_first_lines_of_their_docstrings():
    declared = error_responses(Forbidden, ScopeMissing, NotFound)

    assert list(declared) == [403, 404]
    assert declared[404]["x-codes"] == {"not_found": "The resource does not exist, or belongs to another user: both cases must look alike."}


def at(*loc, type="x", body=None):
    """Return the location of an error as the client sees it."""
    return list(_client_loc({"loc": ("body", *loc), "type": type}, body))[1:]


def test_names_that_the_validator_gives_to_the_members_of_a_union_are_left_out():
    body = {"items": [{"text": 7}]}

    assert at("items", 0, "TextItem", "text", body=body) == ["items", 0, "text"]
    assert at("items", "list[TextItem]", 0, "text", body=body) == ["items", 0, "text"]
    assert at("items", 1, body=body) == ["items"]


def test_a_field_that_is_missing_is_named_although_the_body_lacks_it():
    assert at("items", 0, "id", type="missing", body={"items": [{}]}) == ["items", 0, "id"]
    assert at("TextItem", "id", type="missing", body={}) == ["id"]
    assert at("id", body={}) == []


def test_a_place_outside_of_the_body_is_named_as_it_is():
    assert list(_client_loc({"loc": ("query", "limit"), "type": "x"}, None)) == ["query", "limit"]


def test_a_response_lists_a_hundred_errors_at_most():
    errors = [{"loc": ("query", "x" * 101), "type": "x", "msg": "m"}] * 101
    shown = _from_validation(errors, None).errors

    assert (len(shown), shown[0]["loc"]) == (100, ["query", "x" * 100])
