"""Which pages may call the API, and which of them can read its responses."""

import pytest

from parley.http.middleware import AllowedOrigins

PAGE, OTHER, LOCAL = "https://a.example", "https://b.example", "http://localhost:3000"


@pytest.mark.parametrize(
    ("setting", "origin", "header"),
    [
        ("*", PAGE, "*"),
        (" ", PAGE, "*"),
        (f"{PAGE}/ ,{OTHER}", OTHER, OTHER),
        (f"{PAGE},{OTHER}", "https://evil.example", PAGE),
        (f"{PAGE},{OTHER}", None, PAGE),
        (PAGE, OTHER, PAGE),
    ],
)
def test_a_response_names_the_origin_of_the_request_if_it_is_allowed(setting, origin, header):
    assert AllowedOrigins(setting).header_for(origin) == header


@pytest.mark.parametrize(("setting", "varies"), [("*", False), (PAGE, False), (f"{PAGE},{OTHER}", True)])
def test_responses_differ_by_origin_if_several_are_allowed(setting, varies):
    assert AllowedOrigins(setting).varies is varies


@pytest.mark.parametrize(
    ("origin", "host", "address", "is_allowed"),
    [
        (PAGE, "chat.example.com", "192.0.2.7", True),
        (LOCAL, "localhost:8080", "127.0.0.1", True),
        ("http://[::1]", "127.0.0.1", "127.0.0.1", True),
        (PAGE, "localhost:8080", "192.0.2.7", False),
        (PAGE, "rebound.example", "127.0.0.1", False),
        (PAGE, "[::1]:8080", "192.0.2.7", False),
        ("http://[broken", "localhost", "127.0.0.1", False),
    ],
)
def test_a_server_on_this_computer_serves_only_pages_of_this_computer(origin, host, address, is_allowed):
    assert AllowedOrigins("*").allows(origin, host=host, address=address) is is_allowed


@pytest.mark.parametrize(("origin", "is_allowed"), [(PAGE, True), (OTHER, False), (LOCAL, False)])
def test_with_a_list_only_its_origins_may_call(origin, is_allowed):
    assert AllowedOrigins(PAGE).allows(origin, host="localhost", address="127.0.0.1") is is_allowed
