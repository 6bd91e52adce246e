"""How clients find this server and identify themselves: metadata, registration, and documents that describe a client."""

from contextlib import nullcontext

import pytest
from mcp.client.auth.utils import build_oauth_authorization_server_metadata_discovery_urls
from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata

from functions.auth.oauth import clients
from functions.auth.oauth.errors import OAuthError
from tests.fakes.oauth_client import ISSUER, OAuthApp, parameters_of
from tests.support.api_gateway import rest_event

DOCUMENT_URL = "https://client.example/app.json"
CALLBACK = "https://client.example/callback"
# The id of a client that registered itself, signed with the key `secret`.
REGISTERED = "pcl_4vretKUV501S8AjzV6M_8lsiRWRpdG9yIiwiaHR0cDovLzEyNy4wLjAuMTozMzQxOC9jYWxsYmFjayJd"


@pytest.fixture
def publish(auth, monkeypatch):
    """Return a function that publishes a client's document, and a list of the addresses that were fetched."""
    from functions.auth.app import services

    fetched = []

    def publish(document, *, status=200, url=DOCUMENT_URL):
        def invoke(_client, _function, request):
            fetched.append(request["url"])
            return {"status": status, "url": url, "document": document}

        monkeypatch.setattr(clients, "invoke_function", invoke)
        services.clients._cache.clear()
        return fetched

    yield publish
    services.clients._cache.clear()


def described(**changes):
    return {"client_id": DOCUMENT_URL, "client_name": "Claude", "redirect_uris": [CALLBACK], "logo_uri": "x"} | changes


def test_the_mcp_server_names_its_authorization_server(auth):
    documents = [auth.get(f"/.well-known/oauth-protected-resource{path}").json for path in ("", "/mcp")]
    parsed = ProtectedResourceMetadata.model_validate(documents[0])

    assert documents[0] == documents[1]
    assert (str(parsed.resource), list(map(str, parsed.authorization_servers))) == (f"{ISSUER}/mcp", [ISSUER])


def test_a_client_finds_the_authorization_server_although_its_address_has_a_path(auth):
    (*_, address) = build_oauth_authorization_server_metadata_discovery_urls(ISSUER, f"{ISSUER}/mcp")
    found = OAuthMetadata.model_validate(auth.get(address.removeprefix(ISSUER)).json)

    assert str(found.issuer) == ISSUER
    assert (found.code_challenge_methods_supported, found.authorization_response_iss_parameter_supported) == (["S256"], True)
    document = auth.get("/.well-known/oauth-authorization-server").json
    assert document["client_id_metadata_document_supported"] is True
    assert document.items() <= auth.get(address.removeprefix(ISSUER)).json.items()


@pytest.mark.parametrize("host", ['evil.example"', "a b", "", "evil.example/path"])
def test_a_malformed_host_is_not_repeated(auth, host):
    assert auth.get("/.well-known/oauth-authorization-server", headers={"Host": host}).status == 422


def test_the_page_receives_the_clients_query_unchanged(auth):
    app = OAuthApp.registered(auth)
    answer = auth.get(f"/oauth/authorize?{app.query()}")

    assert (answer.status, answer.headers["location"]) == (303, f"/prod/#/connect?{app.query()}")


@pytest.mark.parametrize("path", ["//evil.example/oauth/authorize", "/\\evil.example/oauth/authorize", "/evil.example//oauth/authorize"])
def test_the_page_is_never_at_another_host(auth, path):
    event = rest_event("GET", "/oauth/authorize", None, as_=None, headers={})
    event["requestContext"]["path"] = path

    assert auth.invoke(event).headers["location"].startswith("/evil.example/#/connect")


def test_a_registration_returns_the_client_without_a_secret(auth):
    wish = {"redirect_uris": [CALLBACK], "client_name": "Editor", "token_endpoint_auth_method": "client_secret_post", "software_id": "x"}
    answer = auth.post("/oauth/register", wish)

    assert (answer.status, answer.json.keys() & {"client_secret"}, answer.json["token_endpoint_auth_method"]) == (201, set(), "none")
    assert (answer.json["client_name"], answer.json["redirect_uris"]) == ("Editor", [CALLBACK])


@pytest.mark.parametrize(
    ("uri", "is_allowed"),
    [
        ("https://client.example/callback", True),
        ("http://localhost:8080/callback", True),
        ("http://[::1]/callback", True),
        ("cursor://anysphere.cursor-retrieval/oauth/callback", True),
        ("com.example.app:/callback", True),
        ("http://client.example/callback", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("https://user@client.example/callback", False),
        ("https://client.example/callback#fragment", False),
        ("https://client.example\\@evil.example/", False),
        ("https:///callback", False),
        ("//client.example/callback", False),
        ("https://client.example/\u202e", False),
    ],
)
def test_only_safe_redirect_addresses_are_registered(auth, uri, is_allowed):
    answer = auth.post("/oauth/register", {"redirect_uris": [uri]})

    assert (answer.status, answer.json.get("error")) == ((201, None) if is_allowed else (400, "invalid_redirect_uri"))


@pytest.mark.parametrize(
    "body", [{}, {"redirect_uris": []}, {"redirect_uris": "x"}, {"redirect_uris": ["https://a.example/" + "x" * 480] * 9}, []]
)
def test_an_unusable_registration_is_refused_in_the_format_of_oauth(auth, body):
    answer = auth.post("/oauth/register", body)

    assert (answer.status, answer.json["error"]) == (400, "invalid_client_metadata")
    assert answer.json["error_description"]


def test_an_unusable_registration_names_the_field(auth):
    answer = auth.post("/oauth/register", {"redirect_uris": "x"})

    assert answer.json["error_description"].startswith("redirect_uris: ")


def test_an_unusable_registration_names_three_fields_at_most(auth):
    answer = auth.post("/oauth/register", {"redirect_uris": [1, 2, 3, 4, 5]})

    assert [fault.partition(":")[0] for fault in answer.json["error_description"].split("; ")] == [f"redirect_uris.{n}" for n in range(3)]


def test_a_name_cannot_reorder_the_text_around_it(auth, alice):
    app = OAuthApp.registered(auth, name="Par\u202eley\n")

    assert auth.post("/auth/authorizations/preview", {"query": app.query()}, as_=alice).json["client_name"] == "Parley"


@pytest.mark.parametrize(("letters", "is_allowed"), [(0, True), (-1, False)])
def test_the_id_of_a_registered_application_has_a_bounded_length(monkeypatch, letters, is_allowed):
    metadata = clients.ClientMetadata(redirect_uris=[CALLBACK], client_name="Ünï")
    id = clients.register(metadata, secret=b"secret").id
    monkeypatch.setattr(clients, "MAX_REGISTERED_LENGTH", len(id) + letters)

    with nullcontext() if is_allowed else pytest.raises(OAuthError):
        assert clients.register(metadata, secret=b"secret").id == id


def test_a_registration_of_another_deployment_is_unknown(auth, alice):
    forged = clients.register(clients.ClientMetadata(redirect_uris=[CALLBACK]), secret=b"another secret")
    answer = OAuthApp(auth, forged.id, CALLBACK).consent(alice)

    assert (answer.json["error"], answer.json["redirect_to"]) == ("invalid_client", None)


@pytest.mark.parametrize(("id", "is_known"), [(REGISTERED, True), (f"{REGISTERED[:60]}!{REGISTERED[60:]}", False)])
def test_a_registration_by_an_earlier_release_is_known_by_its_exact_id(id, is_known):
    with nullcontext() if is_known else pytest.raises(OAuthError):
        assert clients.ClientDirectory("").find(id, secret=b"secret", count_fetch=lambda: None).name == "Editor"


def test_a_client_is_described_by_the_document_at_its_id(auth, alice, publish):
    fetched = publish(described())
    app = OAuthApp(auth, DOCUMENT_URL, CALLBACK)
    shown = auth.post("/auth/authorizations/preview", {"query": app.query()}, as_=alice).json

    assert (shown["client_name"], shown["client_host"], shown["is_local"]) == ("Claude", "client.example", False)
    assert app.tokens(alice)["scope"] == "mcp:tools"
    assert fetched == [DOCUMENT_URL]


@pytest.mark.parametrize(
    "published",
    [
        {"document": described(client_id="https://client.example/other.json")},
        {"document": described(redirect_uris=[])},
        {"document": described(redirect_uris=["javascript:alert(1)"])},
        {"document": "text"},
        {"document": None, "status": 404},
        {"document": described(), "status": 500},
        {"document": described(), "url": "https://elsewhere.example/app.json"},
    ],
)
def test_an_unusable_document_describes_nobody(auth, alice, publish, published):
    publish(**published)
    answer = OAuthApp(auth, DOCUMENT_URL, CALLBACK).consent(alice)

    assert (answer.status, answer.json["error"].startswith("invalid_"), answer.json["redirect_to"]) == (422, True, None)


def test_a_document_is_fetched_again_after_five_minutes(auth, alice, publish):
    from functions.auth.app import services

    fetched = publish(described())
    app = OAuthApp(auth, DOCUMENT_URL, CALLBACK)
    assert app.consent(alice).status == 200
    expires_at, client = services.clients._cache[DOCUMENT_URL]
    services.clients._cache[DOCUMENT_URL] = (expires_at - clients.CACHE_S, client)

    assert app.consent(alice).status == 200
    assert fetched == [DOCUMENT_URL] * 2


@pytest.mark.parametrize(("documents", "fetches"), [(200, 200), (201, 202)])
def test_two_hundred_documents_are_known_at_once(monkeypatch, documents, fetches):
    fetched = []
    monkeypatch.setattr(clients.ClientDirectory, "_fetch", lambda _, id, count: fetched.append(id) or clients.OAuthClient(id, "", ()))
    directory = clients.ClientDirectory("")
    for number in (*range(documents), 0):
        directory.find(f"https://client.example/{number}", secret=b"", count_fetch=lambda: None)

    assert len(fetched) == fetches


def test_an_application_is_shown_by_its_scheme(auth, alice):
    app = OAuthApp.registered(auth, redirect_uri="cursor://anysphere.cursor-retrieval/oauth/callback")
    shown = auth.post("/auth/authorizations/preview", {"query": app.query()}, as_=alice).json

    assert (shown["redirect_host"], shown["is_local"]) == ("cursor:", True)


def test_a_web_application_is_shown_by_its_host(auth, alice):
    app = OAuthApp.registered(auth, redirect_uri=CALLBACK)
    shown = auth.post("/auth/authorizations/preview", {"query": app.query()}, as_=alice).json

    assert (shown["redirect_host"], shown["is_local"]) == ("client.example", False)


def test_the_address_of_a_document_has_500_characters_at_most(auth, alice, publish):
    longest = f"https://client.example/{'x' * 477}"
    fetched = publish(described(client_id=longest), url=longest)

    assert (len(longest), OAuthApp(auth, longest, CALLBACK).consent(alice).status) == (500, 200)
    assert OAuthApp(auth, f"{longest}x", CALLBACK).consent(alice).json["error"] == "invalid_client"
    assert fetched == [longest]


@pytest.mark.parametrize(
    "client_id",
    [
        "https://client.example",
        "https://client.example/",
        "https://user@client.example/app.json",
        "https://client.example/a/../app.json",
        "https://client.example/app.json#x",
        "https://client.example/" + "x" * 500,
        "https://[broken/app.json",
    ],
)
def test_an_address_that_cannot_be_a_clients_id_is_not_fetched(auth, alice, publish, client_id):
    fetched = publish(described())

    assert OAuthApp(auth, client_id, CALLBACK).consent(alice).json["error"] == "invalid_client"
    assert fetched == []


@pytest.mark.parametrize(("address", "own"), [("?tenant=1", {"tenant": "1"}), ("?", {}), ("", {})])
def test_an_error_goes_back_to_the_client_with_the_parameters_of_its_own_address(auth, alice, address, own):
    app = OAuthApp.registered(auth, redirect_uri=f"https://client.example/callback{address}")
    redirect = app.consent(alice, approve=False).json["redirect_to"]

    assert parameters_of(redirect) == {**own, "error": "access_denied", "state": "s/1", "iss": ISSUER}


def test_one_user_cannot_let_the_server_fetch_any_number_of_documents(auth, alice, bob, publish):
    fetched = publish({})
    apps = [OAuthApp(auth, f"https://client.example/{number}.json", CALLBACK) for number in range(21)]
    answers = [app.consent(alice) for app in apps]

    assert ({answer.status for answer in answers[:-1]}, answers[-1].status, answers[-1].json["code"]) == ({422}, 429, "rate_limited")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert (len(fetched), apps[0].consent(bob).status) == (20, 422)


def test_a_document_that_is_known_is_not_counted_again(auth, alice, publish):
    publish(described())
    app = OAuthApp(auth, DOCUMENT_URL, CALLBACK)

    assert {app.consent(alice).status for _ in range(21)} == {200}


def test_the_description_of_an_application_is_waited_for_as_long_as_its_fetch_may_take(monkeypatch):
    waits = []
    monkeypatch.setattr(clients, "function_client", lambda *, read_timeout_s, max_connections: waits.append(read_timeout_s))
    clients.ClientDirectory._lambda.func(None)

    assert waits[0] > clients.FETCH_TIMEOUT_S
