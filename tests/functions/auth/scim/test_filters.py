"""Filters and paths: what they find, what they refuse, and that long ones cost no more than their length."""

import secrets
from urllib.parse import quote

import pytest

from functions.auth.scim.filters import AttributePath, InvalidFilter, InvalidPath, Term, parse_filter, parse_path
from functions.auth.scim.routes import ListQuery
from functions.auth.scim.users import select_page
from parley.db.transactions import global_scope
from tests.functions.auth.scim.provider import GROUP, USER, Provider, refusal
from tests.support.api_gateway import Person


@pytest.fixture(scope="module")
def email():
    """The end of the addresses of this module's users."""
    return f"{secrets.token_hex(6)}@example.com"


@pytest.fixture(scope="module")
def users(auth, postgres, email):
    """Three users whose names and addresses begin alike, by a short name."""
    admin = Person.registered(auth)
    postgres.execute(f"UPDATE users SET role = 'admin' WHERE id = '{admin.id}'", dbname="parley")
    admin = Person.signed_in(auth, admin.email)
    provider = Provider(auth, auth.post("/admin/scim-token", as_=admin).json["token"])
    named = {"one": "Ann O'Malley", "two": "Ann %", "three": "Bob"}
    fields = {key: {"displayName": f"{name} {email}", "externalId": f"{key}-{email}"} for key, name in named.items()}
    return {key: provider.create(f"{key}-{email}", **one, active=key != "three")["id"] for key, one in fields.items()}


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ('userName eq "one-{email}"', ["one"]),
        ('USERNAME EQ "ONE-{email}"', ["one"]),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "one-{email}"', ["one"]),
        ('externalId eq "two-{email}"', ["two"]),
        ('externalId eq "TWO-{email}"', []),
        ('emails.value eq "two-{email}"', ["two"]),
        ('emails[type eq "work"].value eq "two-{email}"', ["two"]),
        ('emails[type eq "home"].value eq "two-{email}"', []),
        ('displayName co "o\'malley {email}"', ["one"]),
        ('displayName co "% {email}"', ["two"]),
        ('displayName ew "{email}" and active eq true', ["one", "two"]),
        ('displayName ew "{email}" and active eq False and userName sw "three"', ["three"]),
        ('displayName ew "{email}" and id eq "no id"', []),
        ('emails[value eq "a]b"] eq "c"', []),
        ('emails[primary eq true].value eq "two-{email}"', ["two"]),
        ('emails[primary eq false].value eq "two-{email}"', []),
        ('emails.type eq "two-{email}"', []),
        ('displayName ew "{email}" and active co true', []),
        ('displayName ew "{email}" and id co "{one}"', []),
        ('displayName ew "{email}" and id eq "{one}"', ["one"]),
        ('active eq "true"', []),
        ('userName eq "\\u0041"', []),
        ("userName eq true", []),
    ],
)
def test_a_filter_finds_exactly_its_users(engines, users, email, filter, found):
    terms = parse_filter(filter.replace("{email}", email).replace("{one}", users["one"]))
    with global_scope(engines["background"]) as connection:
        accounts, total = select_page(connection, terms, offset=0, limit=100)

    assert [str(account.id) for account in accounts] == [users[name] for name in found]
    assert total == len(found)


@pytest.mark.parametrize(
    "filter",
    [
        "userName",
        "userName eq",
        'userName eq "bjensen',
        "userName eq bjensen",
        'userName gt "b"',
        'userName equals "b"',
        'userName eq "b" or userName eq "c"',
        'not (userName eq "b")',
        'userName eq "\\u0000"',
        'userName eq "\\ud800"',
        'userName eq {"a": 1}',
        f"userName eq {'[' * 1900}",
        f"{'a[' * 600}x{']' * 600} eq true",
        " and ".join(['userName eq "a"'] * 11),
        'user name eq "b"',
    ],
)
def test_a_filter_that_is_malformed_or_not_supported_is_refused(filter):
    with pytest.raises(InvalidFilter):
        parse_filter(filter)


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_a_filter_by_another_attribute_is_refused(provider, kind):
    for filter in ('password eq "b"', 'name.familyName eq "b"', 'displayName.x eq "b"', 'displayName[x eq "a"] eq "b"', "userName"):
        assert refusal(provider.call("GET", f"/{kind}?filter={quote(filter)}")) == (400, "invalidFilter")


def test_a_filter_is_bounded_in_length():
    longest = f'userName eq "{"a" * 2034}"'

    assert (len(longest), len(parse_filter(longest))) == (2048, 1)
    with pytest.raises(InvalidFilter):
        parse_filter(f"{longest} ")


def test_a_filter_may_join_ten_comparisons():
    assert len(parse_filter(" and ".join(['userName eq "a"'] * 10))) == 10


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "matches"),
    [
        *(("eq", "Work", "wORK", True), ("eq", "wor", "work", False), ("co", "OR", "work", True), ("co", "work", "or", False)),
        *(("sw", "WO", "work", True), ("sw", "rk", "work", False), ("ew", "RK", "work", True), ("ew", "wo", "work", False)),
        *(("eq", True, True, True), ("eq", False, True, False), ("eq", "true", True, False), ("eq", True, "true", False)),
        ("co", True, True, False),
    ],
)
def test_a_comparison_disregards_case_and_knows_truth_from_text(operator, wanted, value, matches):
    assert Term(AttributePath("type"), operator, wanted).matches(value) is matches


@pytest.mark.parametrize("path", ["", ".", "a b", "name.", "emails[", "emails[.x", "emails]", 'emails[type eq "work"]value', "é"])
def test_a_malformed_path_is_refused(path):
    with pytest.raises(InvalidPath):
        parse_path(path)


def test_a_filter_within_a_filter_is_refused():
    with pytest.raises(InvalidPath):
        parse_path("a[b[c eq true]]")


def test_pages_follow_each_other_in_a_stable_order(provider, users, email):
    filter = f'displayName ew "{email}"'
    pages = [provider.find("Users", filter, startIndex=str(start), count="2") for start in (1, 3, 5)]

    assert pages == [[users["one"], users["two"]], [users["three"]], []]


@pytest.mark.parametrize(("query", "expected"), [("startIndex=-5&count=-1", (1, 0)), ("count=100000", (1, 200)), ("", (1, 100))])
def test_a_list_is_bounded(provider, users, query, expected):
    answer = provider.call("GET", f"/Users?{query}").json

    assert answer["startIndex"] == expected[0]
    assert answer["itemsPerPage"] == len(answer["Resources"]) == min(expected[1], answer["totalResults"])


@pytest.mark.parametrize(
    ("asked", "start", "limit"),
    [({}, 1, 100), ({"start_index": 0}, 1, 100), ({"start_index": 7, "count": 1}, 7, 1), ({"count": 0}, 1, 0), ({"count": 201}, 1, 200)],
)
def test_a_list_begins_at_one_and_has_a_hundred_items_unless_told_otherwise(asked, start, limit):
    part = ListQuery(**asked)

    assert (part.start_index, part.offset, part.limit) == (start, start - 1, limit)


def test_the_discovery_documents_describe_what_is_supported(provider):
    config = provider.call("GET", "/ServiceProviderConfig").json
    types = provider.call("GET", "/ResourceTypes").json["Resources"]
    schemas = {one["id"]: one for one in provider.call("GET", "/Schemas").json["Resources"]}

    supported = {name: config[name]["supported"] for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag")}
    assert supported == {"patch": True, "filter": True} | dict.fromkeys(("bulk", "changePassword", "sort", "etag"), False)
    assert (config["filter"]["maxResults"], config["bulk"]["maxOperations"], config["bulk"]["maxPayloadSize"]) == (200, 0, 0)
    assert [one["primary"] for one in config["authenticationSchemes"]] == [True]
    assert [(one["name"], one["endpoint"]) for one in types] == [("User", "/Users"), ("Group", "/Groups")]
    assert {one["schema"] for one in types} == schemas.keys()
    assert provider.call("GET", "/ResourceTypes/User").json == types[0]
    assert provider.call("GET", f"/Schemas/{types[1]['schema']}").json == schemas[types[1]["schema"]]


@pytest.mark.parametrize(("path", "kind"), [("/Schemas", "schema"), ("/ResourceTypes", "resource type")])
def test_an_unknown_discovery_document_is_not_found(provider, path, kind):
    answer = provider.call("GET", f"{path}/unknown")

    assert refusal(answer) == (404, None)
    assert answer.json["detail"] == f"There is no such {kind}."


def test_the_schema_of_users_requires_only_the_name(provider):
    attributes = provider.call("GET", f"/Schemas/{USER}").json["attributes"]

    assert [one["name"] for one in attributes if one["required"]] == ["userName"]


@pytest.mark.parametrize(
    ("schema", "lists", "required", "exact"),
    [(USER, {"emails"}, {"userName", "emails.value"}, set()), (GROUP, {"members"}, {"displayName"}, {"members.value"})],
)
def test_the_schemas_name_the_lists_and_what_they_require(provider, schema, lists, required, exact):
    attributes = {one["name"]: one for one in provider.call("GET", f"/Schemas/{schema}").json["attributes"]}
    parts = {f"{name}.{part['name']}": part for name, one in attributes.items() for part in one.get("subAttributes", [])}
    found = {flag: {name for name, one in (attributes | parts).items() if one[flag]} for flag in ("multiValued", "required", "caseExact")}

    assert found == {"multiValued": lists, "required": required, "caseExact": exact}


def test_a_list_of_descriptions_is_one_page(provider):
    page = provider.call("GET", "/ResourceTypes").json

    assert (page["startIndex"], page["itemsPerPage"], page["totalResults"]) == (1, 2, 2)
