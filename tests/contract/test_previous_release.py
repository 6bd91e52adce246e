import subprocess

import pytest

from tests.contract.previous_release import MIGRATIONS, checked_out, last_tag


@pytest.fixture
def repository(tmp_path):
    """A repository with a commit, and a function that runs git in it."""
    root = tmp_path / "repository"
    root.mkdir()

    def git(*arguments):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, check=True)

    def commit(content):
        (root / MIGRATIONS).mkdir(parents=True, exist_ok=True)
        (root / MIGRATIONS / "0001.py").write_text(content)
        (root / "code.py").write_text(content)
        git("add", "-A")
        git("commit", "-m", content)

    git("init")
    commit("first")
    return root, git, commit


def test_without_a_tag_there_is_no_previous_release(repository):
    assert last_tag(repository[0]) is None


def test_the_tag_of_the_present_commit_is_not_the_previous_release(repository):
    root, git, commit = repository
    git("tag", "v0.1.0")
    assert last_tag(root) is None
    commit("second")
    assert last_tag(root) == "v0.1.0"
    git("tag", "v0.2.0")

    assert last_tag(root) == "v0.1.0"


def test_the_previous_release_gets_the_present_migrations_and_keeps_its_code(repository, tmp_path):
    root, git, commit = repository
    git("tag", "v0.1.0")
    commit("second")
    (tmp_path / "out").mkdir()
    checked_out(root, "v0.1.0", tmp_path / "out")

    assert (tmp_path / "out" / MIGRATIONS / "0001.py").read_text() == "second"
    assert (tmp_path / "out" / "code.py").read_text() == "first"
