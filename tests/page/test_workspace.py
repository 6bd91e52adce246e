"""What surrounds the answers: text from right to left, dropped files, and a server that restarts."""

import pytest
from playwright.sync_api import expect

from tests.fakes.vendor import streams
from tests.page.conftest import ask, expect_stored
from tests.page.test_journeys import calls
from tests.support.time_limits import wait_until

ARABIC = "ما هي عاصمة البرتغال؟"
DROP = """([name, type, text]) => {
    const files = new DataTransfer();
    files.items.add(new File([text], name, { type }));
    return files;
}"""


def drop(tab, selector, *, name, media_type, text):
    """Drop a file on an element, as a person drags it from another program."""
    files = tab.evaluate_handle(DROP, [name, media_type, text])
    for event in ("dragover", "drop"):
        tab.dispatch_event(selector, event, {"dataTransfer": files})


def test_text_from_right_to_left_begins_at_the_right(ada, vendor):
    vendor.script = streams("عاصمة البرتغال ", "هي لشبونة.\n\n", "```python\nprint(1)\n```")
    tab = ada.open()
    ask(tab, ARABIC)
    expect_stored(tab, 1)

    for element in (".bubble", ".is-answer .markdown p"):
        expect(tab.locator(element).last).to_have_css("direction", "rtl")
    for element in (".markdown pre", ".figures"):
        expect(tab.locator(element)).to_have_css("direction", "ltr")


def test_an_answer_from_left_to_right_stays_so_beside_it(ada, vendor):
    vendor.script = streams("Lisbon.")
    tab = ada.open()
    ask(tab, ARABIC)
    expect_stored(tab, 1)

    expect(tab.locator(".is-answer .markdown p").last).to_have_css("direction", "ltr")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_from_right_to_left_is_mirrored_and_nothing_sticks_out(ada, vendor, width):
    vendor.script = streams("```python\n", "print(1)\n```\n\n", "| a | b |\n|---|---|\n| 1 | 2 |")
    tab = ada.open()
    ask(tab, "Hello?")
    expect_stored(tab, 1)
    tab.set_viewport_size({"width": width, "height": 800})
    tab.evaluate("document.documentElement.dir = 'rtl'")
    main = tab.locator("main").bounding_box()

    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert main["x"] >= 0
    assert main["x"] + main["width"] <= width
    if width > 1000:
        assert tab.locator(".sidebar").bounding_box()["x"] >= main["x"] + main["width"] - 1


def test_a_file_dropped_on_the_documents_is_read(ada):
    tab = ada.open("#/documents")
    expect(tab.get_by_text("No documents yet")).to_be_visible()
    drop(tab, ".screen", name="hours.txt", media_type="text/plain", text="The office closes at six.")

    expect(tab.get_by_role("link", name="hours", exact=True)).to_be_visible()
    expect(tab.get_by_text("1 passage")).to_be_visible()


def test_a_document_is_shared_with_a_new_group(ada):
    tab = ada.open("#/groups")
    tab.get_by_label("Name of the group").fill("Research")
    tab.get_by_role("button", name="Create group").click()
    expect(tab.get_by_text("Owner · 1 member")).to_be_visible()
    tab.goto(f"{ada.url}/#/documents")
    drop(tab, ".screen", name="hours.txt", media_type="text/plain", text="The office closes at six.")
    tab.get_by_role("button", name="Options for hours").click()
    tab.get_by_role("menuitem", name="Share with groups").click()
    with tab.expect_response(lambda response: response.request.method == "PUT") as sent:
        tab.get_by_role("switch", name="Research").check()

    assert (sent.value.url.rpartition("/")[2], sent.value.status) == ("shares", 204)


def test_a_dropped_file_that_is_no_document_is_refused_with_a_sentence(ada):
    tab = ada.open("#/documents")
    expect(tab.get_by_text("No documents yet")).to_be_visible()
    drop(tab, ".screen", name="program.exe", media_type="application/octet-stream", text="MZ\0\0" * 50)

    expect(tab.get_by_text("program.exe")).to_be_visible()
    expect(tab.get_by_text("No documents yet")).to_be_visible()


def is_waiting(visit):
    """Whether the newest conversation has a turn that is stored as waiting: its approval is shown a moment earlier."""
    read = lambda path: visit.context.request.get(f"{visit.url}/{path}", headers=visit.headers).json()  # noqa: E731
    (newest, *_) = read("conversations")["items"]
    turn_id = read(f"conversations/{newest['id']}")["open_turn_id"]
    return turn_id is not None and read(f"chat/turns/{turn_id}")["status"] == "waiting"


def test_an_approval_survives_a_restart_of_the_server(ada, stack, vendor):
    ada.context.request.put(f"{ada.url}/tools/calculator", data={"requires_approval": True}, headers=ada.headers)
    answers = [calls("calculator", {"expression": "6*7"}), streams("It is 42.")]
    vendor.script = lambda handler: answers.pop(0)(handler)
    tab = ada.open()
    ask(tab, "What is 6 times 7?")
    expect(tab.locator(".approval")).to_contain_text("6*7")
    assert wait_until(lambda: is_waiting(ada))
    stack.kill()
    stack.start()
    tab.reload()
    tab.get_by_role("button", name="Allow once").click()

    expect(tab.locator(".is-answer .markdown").last).to_have_text("It is 42.")
