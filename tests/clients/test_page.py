"""docs/clients.md describes the clients that `make clients` drives, in lines that their drivers run."""

import re
from datetime import date

import pytest

from tests.clients.installation import clients
from tests.clients.run import PAGE, Result, dated, read_result, table, with_table

SNIPPET = re.compile(r"```(?:python|js)\n(.*?)```", re.DOTALL)
OPENAI = clients()["openai_python"]


def section(title):
    """Return the text below the heading that is the title."""
    return PAGE.read_text().partition(f"\n### {title}\n")[2].partition("\n##")[0]


@pytest.mark.parametrize("client", clients().values(), ids=lambda client: client.name)
def test_a_client_has_a_section_and_its_lines_are_those_of_its_driver(client):
    text, driver = section(client.title), client.driver.read_text().replace("URL_", "URL")
    lines = [line.strip() for snippet in SNIPPET.findall(text) for line in snippet.splitlines()]

    assert text
    assert [line for line in lines if line.removeprefix("answer = ") not in driver] == []


def test_a_driver_that_prints_a_failure_and_dies_has_failed_twice():
    output = 'noise\n{"check": "answer", "error": ""}\n{"check": "stream", "error": "no"}\n'

    assert read_result(OPENAI, output, 1) == Result(OPENAI, ["answer"], {"stream": "no", "driver": "ended with status 1 after 2 checks"})


def test_a_driver_without_a_check_has_failed():
    assert read_result(OPENAI, "", 0).failed == {"driver": "ended with status 0 after 0 checks"}


def test_the_table_replaces_the_previous_one():
    text = dated(table([Result(OPENAI, ["answer", "stream"], {"tools": "no"})]), date(2026, 11, 28))
    page = with_table("before <!-- written by `make clients` -->\nold\n<!-- end of the table --> after", text)

    assert f"| OpenAI SDK, Python | {OPENAI.version} | answer, stream | tools |\n\nThe last run was on 28 November 2026.\n" in page
    assert (page.startswith("before "), page.endswith(" after"), "old" in page) == (True, True, False)
