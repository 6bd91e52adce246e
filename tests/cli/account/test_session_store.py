"""The session file: private from its creation, with one session per address."""

import os
import stat
import time

import pytest

from cli.errors import CliError
from cli.session_store import SessionFile, StoredSession

ALICE = StoredSession("alice@example.com", "access", "refresh", 9e9)


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_only_the_user_can_read_the_tokens_whatever_the_umask(config):
    SessionFile(config).log_in("http://a", ALICE)

    assert mode(config / "sessions.json") == 0o600
    assert [mode(config), mode(config.parent)] == [0o700, 0o700]
    assert {mode(path) for path in config.iterdir()} == {0o600}


@pytest.mark.usefixtures("open_umask")
def test_the_tokens_are_private_before_they_are_written(config, monkeypatch):
    modes = []
    monkeypatch.setattr(os, "fsync", lambda fd: modes.append(stat.S_IMODE(os.fstat(fd).st_mode)))

    SessionFile(config).log_in("http://a", ALICE)

    assert modes == [0o600]


def test_a_file_that_others_could_read_is_replaced_by_a_private_one(config):
    SessionFile(config).log_in("http://a", ALICE)
    (config / "sessions.json").chmod(0o644)

    SessionFile(config).log_in("http://b", ALICE)

    assert mode(config / "sessions.json") == 0o600


def test_a_folder_that_exists_keeps_its_mode(config):
    config.mkdir(parents=True)
    config.chmod(0o755)

    SessionFile(config).log_in("http://a", ALICE)

    assert mode(config) == 0o755


def test_sessions_at_two_addresses_are_independent(config):
    sessions = SessionFile(config)
    sessions.log_in("http://laptop", ALICE)
    sessions.log_in("https://production", ALICE)

    sessions.forget("http://laptop")

    assert list(sessions.read().by_url) == ["https://production"]
    assert sessions.read().last_url == "https://production"


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(config, monkeypatch):
    sessions = SessionFile(config)
    sessions.log_in("http://a", ALICE)
    before = sessions.path.read_text()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))

    with pytest.raises(CliError, match=r"Cannot write .*sessions\.json: disk full"):
        sessions.log_in("http://b", ALICE)
    assert sessions.path.read_text() == before
    assert sorted(path.name for path in config.iterdir()) == ["sessions.json", "sessions.lock"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sessions": {}}', '{"last_url": null, "sessions": {"u": {"x": 1}}}'])
def test_a_damaged_file_is_named_with_what_to_do(config, content):
    config.mkdir(parents=True)
    (config / "sessions.json").write_text(content)

    with pytest.raises(CliError, match=r"sessions\.json is damaged\. Remove it and log in again"):
        SessionFile(config).read()


@pytest.mark.parametrize(("lasts_s", "is_expired"), [(600, False), (5, True), (-1, True)])
def test_a_token_counts_as_expired_shortly_before_it_is(lasts_s, is_expired):
    session = StoredSession("alice@example.com", "access", "refresh", time.time() + lasts_s)

    assert session.is_expired is is_expired
