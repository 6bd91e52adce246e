"""Scheduled prompts and web hooks in the settings."""

from playwright.sync_api import expect

from tests.page.conftest import axe_violations


def choose(tab, name):
    """Choose an item of the only menu in the section."""
    tab.locator(".cards .menu button").first.click()
    tab.get_by_role("menuitem", name=name).click()


def test_a_prompt_is_scheduled_and_its_times_are_changed(ada):
    tab = ada.open("#/settings/schedules")
    tab.get_by_role("button", name="Schedule a prompt").click()
    tab.get_by_label("Prompt", exact=True).fill("Summarize the news")
    tab.get_by_label("Repeat").select_option(label="Every week")
    tab.get_by_label("Day").select_option(label="Friday")
    tab.get_by_label("Time", exact=True).fill("07:30")
    tab.get_by_label("Time zone").select_option(label="Asia/Tokyo")
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Save").click()
    card = tab.locator(".cards .card")
    expect(card).to_contain_text("every Friday at 07:30, Asia/Tokyo")
    choose(tab, "Edit")
    tab.get_by_label("Repeat").select_option(label="At an interval")
    tab.get_by_label("Minutes between two runs").fill("120")
    tab.get_by_role("button", name="Save").click()

    expect(card).to_contain_text("every 2 hours · next")


def test_a_scheduled_prompt_is_paused_and_deleted(ada):
    body = {"prompt": "Summarize the news", "every_minutes": 120}
    assert ada.context.request.post(f"{ada.url}/schedules", data=body, headers=ada.headers).status == 201
    tab = ada.open("#/settings/schedules")
    choose(tab, "Pause")
    expect(tab.locator(".cards .tag")).to_have_text("Paused")
    choose(tab, "Resume")
    expect(tab.locator(".cards .tag")).to_have_count(0)
    choose(tab, "Runs")
    expect(tab.get_by_role("dialog")).to_contain_text("No run in the last 30 days.")
    tab.keyboard.press("Escape")
    choose(tab, "Delete")
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(tab.get_by_text("No scheduled prompts yet")).to_be_visible()


def test_a_prompt_that_would_run_too_often_is_refused_with_a_sentence(ada):
    tab = ada.open("#/settings/schedules")
    tab.get_by_role("button", name="Schedule a prompt").click()
    tab.get_by_label("Prompt", exact=True).fill("Summarize the news")
    tab.get_by_label("Repeat").select_option(label="By cron fields")
    tab.get_by_label("Cron fields").fill("* * * * *")
    tab.get_by_role("button", name="Save").click()

    expect(tab.get_by_role("alert")).to_contain_text("every 60 minutes at most")
    expect(tab.get_by_label("Prompt", exact=True)).to_have_value("Summarize the news")


def test_the_secret_of_a_web_hook_is_shown_once_and_replaced(ada):
    tab = ada.open("#/settings/webhooks")
    tab.get_by_label("Address").fill("https://hooks.example.com/parley")
    tab.get_by_role("switch", name="A scheduled prompt has run").uncheck()
    tab.get_by_role("button", name="Add web hook").click()
    secret = tab.locator(".secret code")
    expect(secret).to_contain_text("whsec_")
    first = secret.inner_text()
    expect(tab.locator(".cards .card")).not_to_contain_text("A scheduled prompt has run")
    assert axe_violations(tab) == []
    choose(tab, "New secret")
    tab.get_by_role("dialog").get_by_role("button", name="New secret").click()
    expect(secret).not_to_have_text(first)
    tab.reload()

    expect(tab.locator(".cards .card")).to_have_count(1)
    expect(secret).to_have_count(0)


def test_a_web_hook_is_turned_off_and_deleted(ada):
    body = {"url": "https://hooks.example.com/parley", "events": ["budget.warning"]}
    assert ada.context.request.post(f"{ada.url}/webhooks", data=body, headers=ada.headers).status == 201
    tab = ada.open("#/settings/webhooks")
    choose(tab, "Turn off")
    expect(tab.locator(".cards .tag")).to_have_text("Off")
    choose(tab, "Change events")
    tab.get_by_role("dialog").get_by_role("switch", name="A scheduled prompt has run").check()
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator(".cards .card")).to_contain_text("A scheduled prompt has run")
    choose(tab, "Deliveries")
    expect(tab.get_by_role("dialog")).to_contain_text("No event in the last seven days.")
    tab.keyboard.press("Escape")
    choose(tab, "Delete")
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(tab.get_by_text("No web hooks yet.")).to_be_visible()
