"""The rules of layout and language hold, and each of them notices when it is broken."""

import re
from pathlib import Path

import pytest

from tests.contract import house_rules as rules

ROOT = Path(__file__).parents[2]
OPERATE = ROOT / "docs" / "operate.md"
RECORDS = ROOT / "docs" / "adr"
TREE_RULES = [
    rules.gerund_modules,
    rules.crowded_folders,
    rules.lone_small_modules,
    rules.repeated_class_names,
    rules.banned_phrases,
]
# For each rule a tree that breaks it, and one that does not.
BROKEN = {
    "gerund_modules": {"functions/chat/gathering.py": ""},
    "crowded_folders": {f"cli/command_{number}.py": "" for number in range(21)},
    "lone_small_modules": {"cli/columns.py": "WIDTH = 3", "cli/table.py": "from cli.columns import WIDTH"},
    "repeated_class_names": {"functions/auth/app.py": "class Settings: ...", "functions/chat/app.py": "class Settings: ..."},
    "banned_phrases": {"functions/chat/app.py": '"""Ask the model anew."""'},
}
SOUND = {
    "gerund_modules": {"functions/chat/retrieval.py": "", "functions/chat/embeddings.py": "", "functions/chat/feed.py": ""},
    "crowded_folders": {f"cli/command_{number}.py": "" for number in range(20)},
    "lone_small_modules": {
        "cli/columns.py": "WIDTH = 3",
        "cli/table.py": "from cli.columns import WIDTH",
        "cli/listing.py": "from cli import columns",
    },
    "repeated_class_names": {"functions/auth/app.py": "class AuthSettings: ...", "cli/app.py": "class AuthSettings: ..."},
    "banned_phrases": {"functions/chat/app.py": '"""Ask the model again."""\nwhat = "WHAT a name is"'},
}


def planted(root, files):
    for name, source in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    return root


@pytest.mark.parametrize("rule", TREE_RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule):
    assert rule(ROOT) == []


@pytest.mark.parametrize("rule", TREE_RULES, ids=lambda rule: rule.__name__)
def test_a_rule_notices_a_tree_that_breaks_it(rule, tmp_path):
    assert rule(planted(tmp_path, BROKEN[rule.__name__]))


@pytest.mark.parametrize("rule", TREE_RULES, ids=lambda rule: rule.__name__)
def test_a_rule_lets_a_sound_tree_pass(rule, tmp_path):
    assert rule(planted(tmp_path, SOUND[rule.__name__])) == []


@pytest.mark.parametrize(
    "text",
    [
        "What the model is given.",
        "Return what was asked, whoever asked.",
        "An argument that is no JSON.",
        "A turn goes without sources.",
        "Who pays for a call of a model.",
        "Raises the errors of P5.",
    ],
)
def test_a_translated_phrase_is_noticed(text, tmp_path):
    assert rules.banned_phrases(planted(tmp_path, {"cli/main.py": f'"""{text}"""'}))


def test_a_phrase_is_noticed_in_a_comment_and_in_a_message(tmp_path):
    files = {"cli/a.py": "# The answer is made anew.", "cli/b.py": "TEXT = 'There is no desk here.'"}

    assert {found.partition(":")[0] for found in rules.banned_phrases(planted(tmp_path, files))} == set(files)


def test_a_log_line_is_an_event_name():
    names = rules.log_events(ROOT)

    assert {name: places for name, places in names.items() if not re.fullmatch(r"[a-z]+(?:_[a-z]+)+", name)} == {}


def test_operators_find_every_log_event_and_no_other():
    assert rules.documented_names(OPERATE, "Log events") == set(rules.log_events(ROOT))


def test_operators_find_every_metric_and_no_other():
    assert rules.documented_names(OPERATE, "Metrics") == rules.metric_names(ROOT)


def test_a_sentence_in_a_log_call_is_noticed(tmp_path):
    planted(tmp_path, {"functions/chat/app.py": "logger.info('a turn broke')\nlogger.error(f'{1}')\nlogger.info('turn_failed')"})

    assert set(rules.log_events(tmp_path)) == {"a turn broke", "", "turn_failed"}


def test_an_undocumented_event_is_noticed(tmp_path):
    page = tmp_path / "operate.md"
    page.write_text("## Log events\n\n| event | meaning |\n|---|---|\n| `turn_failed` | A turn failed. |\n\n## Metrics\n\n| `x` | y |\n")

    assert rules.documented_names(page, "Log events") == {"turn_failed"}


def test_each_decision_record_has_its_own_number_and_is_listed_in_order():
    names = sorted(path.name for path in RECORDS.glob("0*.md"))
    headings = [(RECORDS / name).read_text().partition(".")[0] for name in names]
    listed = re.findall(r"^\| \[(\d+)\]\((\S+)\)", (RECORDS / "README.md").read_text(), re.MULTILINE)

    assert listed == [(heading.removeprefix("# "), name) for heading, name in zip(headings, names, strict=True)]
    assert [number for number, _ in listed] == [str(number) for number in sorted({int(name[:4]) for name in names})]
