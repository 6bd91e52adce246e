"""Sets of texts and questions for measuring retrieval."""

import json

import pytest

from bench.retrieval.datasets import load_dataset
from bench.retrieval.quality import explanations

SUMMARY = "Return the sum of all rows that count"
EXPLANATION = "A row counts if its state is open. " * 6


@pytest.mark.parametrize(
    ("documentation", "found"),
    [
        (f"{SUMMARY}\n    here.\n\n    {EXPLANATION}\n", [(f"{SUMMARY} here.", EXPLANATION.strip())]),
        (SUMMARY, []),
        (f"Return it.\n\n    {EXPLANATION}", []),
        (f"{SUMMARY}.\n\n    Rows count.", []),
        (f"{SUMMARY}.\n\n    {EXPLANATION}\n\n    >>> total()", []),
    ],
    ids=["explained", "one paragraph", "short query", "short explanation", "example of code"],
)
def test_an_explanation_is_sought_by_the_first_paragraph_of_its_docstring(tmp_path, documentation, found):
    path = tmp_path / "module.py"
    path.write_text(f'def total(rows):\n    """{documentation}"""\n    return sum(rows)\n')

    assert list(explanations(path)) == found


def test_a_question_about_a_conversation_seeks_the_passages_of_its_evidence(tmp_path):
    lines = [("Ann", "Hello!"), ("Ben", "Hello, Ann."), ("Ann", "My boat has sunk. " * 60), ("Ben", "Oh no!")]
    session = [{"speaker": speaker, "dia_id": f"D1:{number}", "text": text} for number, (speaker, text) in enumerate(lines, 1)]
    questions = [
        {"question": "What happened to the boat?", "evidence": ["D1:3"], "category": 1},
        {"question": "Who greeted Ann?", "evidence": ["D1:2"], "category": 2},
        {"question": "Why did the plane crash?", "evidence": ["D1:3"], "category": 5},
        {"question": "Where?", "evidence": ["D7:1"], "category": 1},
    ]
    conversation = {"speaker_a": "Ann", "session_1": session, "session_1_date_time": "1:56 pm on 8 May, 2023", "qa": questions}
    (tmp_path / "26.json").write_text(json.dumps(conversation))
    found = load_dataset(tmp_path)

    assert found.items[0].text == "2023-05-08\nUser: Ann: Hello!\nAssistant: Ben: Hello, Ann."
    assert [(query.text, sorted(query.gold)) for query in found.queries] == [
        ("What happened to the boat?", ["26/session_1:1", "26/session_1:2"]),
        ("Who greeted Ann?", ["26/session_1:0"]),
    ]


def test_a_folder_without_a_dataset_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no dataset"):
        load_dataset(tmp_path)
