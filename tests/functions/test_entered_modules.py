"""How many modules a request enters. docs/architecture.md states the figures; a ceiling keeps them from growing."""

import re
from pathlib import Path

import pytest

from tests.support.builders import upload_document
from tests.support.entered_modules import recorded_modules

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.fixture
def turn_modules(chat, alice):
    def take():
        assert chat.post("/chat", {"message": "Hello"}, as_=alice).events[-1][0] == "turn.completed"

    return modules_of(take)


@pytest.fixture
def document_modules(documents, ingest, alice):
    def take():
        assert ingest.read(alice, upload_document(documents, alice).json["id"]) == []

    return modules_of(take)


@pytest.fixture
def refresh_modules(auth, alice):
    tokens = [alice.tokens["refresh_token"]]

    def take():
        answer = auth.post("/auth/refresh", {"refresh_token": tokens.pop()})
        assert answer.status == 200
        tokens.append(answer.json["refresh_token"])

    return modules_of(take)


def modules_of(take):
    """Run `take` several times, and return what each run but the first has entered.

    Nothing is made for the first time then. What is renewed once in a while, or only because a run took long, is in few of them.
    """
    take()
    runs = []
    for _ in range(5):
        with recorded_modules() as entered:
            take()
        runs.append(entered)
    return set.intersection(*map(set, runs))


def of(modules, folder):
    return sorted(name for name in modules if name.startswith(folder))


def stated(name):
    """Return the two figures that the page states: modules of the function's own, and of the layer."""
    found = re.search(rf"^\| {name} \| (\d+) \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert found, f"{PAGE.name} has no row for {name!r}"
    return int(found[1]), int(found[2])


def test_a_plain_turn_enters_at_most_half_of_what_it_did(turn_modules):
    assert len(of(turn_modules, "functions/chat")) <= 14


@pytest.mark.parametrize(
    ("name", "modules", "folders"),
    [
        ("a turn", "turn_modules", ("functions/chat",)),
        ("a document", "document_modules", ("functions/documents", "functions/ingest")),
        ("a refresh", "refresh_modules", ("functions/auth",)),
    ],
)
def test_a_request_enters_no_more_modules_than_the_page_states(name, modules, folders, request):
    entered = request.getfixturevalue(modules)
    own, layers = [module for folder in folders for module in of(entered, folder)], of(entered, "layers")
    most_own, most_layers = stated(name)

    assert len(own) <= most_own, own
    assert len(layers) <= most_layers, layers


def test_a_module_that_only_is_imported_is_not_entered():
    with recorded_modules() as entered:
        import parley.ids

    assert entered == set()
    with recorded_modules() as entered:
        parley.ids.new_id()

    assert entered == {"layers/shared/parley/ids.py"}
