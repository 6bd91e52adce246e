"""Code that the rules must notice, and code that they must not: `semgrep --test`. It is never run."""

# ruff: noqa
import asyncio, hmac, os, pickle, ssl, subprocess, urllib.request
import httpx2, requests, yaml
from sqlalchemy import text

COLUMNS = "id, title"


def statements(connection, title):
    # ruleid: sql-of-a-value
    connection.execute(f"SELECT 1 WHERE title = '{title}'")
    # ruleid: sql-of-a-value
    connection.execute(text(f"SELECT 1 WHERE title = '{title}'"))
    # ruleid: sql-of-a-value
    connection.execute(text("SELECT 1 WHERE title = '%s'" % title))
    # ruleid: sql-of-a-value
    connection.execute(text("SELECT 1 WHERE title = '{}'".format(title)))
    # ruleid: sql-of-a-value
    connection.execute(text("SELECT 1 WHERE title = " + title))
    # ok: sql-of-a-value
    connection.execute(text(f"SELECT {COLUMNS} FROM conversations"))
    # ok: sql-of-a-value
    connection.execute(text("SELECT 1 WHERE title = :title"), {"title": title})


def programs(name):
    # ruleid: shell
    subprocess.run(f"ls {name}", shell=True)
    # ruleid: shell
    os.system(name)
    # ok: shell
    subprocess.run(["ls", name])


def documents(source):
    # ruleid: code-from-data
    yaml.load(source, Loader=yaml.Loader)
    # ruleid: code-from-data
    pickle.loads(source)
    # ruleid: code-from-data
    eval(source)
    # ok: code-from-data
    yaml.safe_load(source)


def requests_of(address):
    # ruleid: unguarded-request
    requests.get(address)
    # ruleid: unguarded-request
    urllib.request.urlopen(address)
    # ruleid: unguarded-request
    httpx2.get(address)
    # ruleid: unguarded-request
    httpx2.Client(timeout=3)
    # ok: unguarded-request
    httpx2.URL(address)


def logs(logger, user, password, question):
    # ruleid: secret-in-a-log
    logger.info("user_logged_in", password=password)
    # ruleid: secret-in-a-log
    logger.warning("turn_failed", reason=question.text)
    # ruleid: secret-in-a-log
    logger.info("user_logged_in", who=user.email)
    # ok: secret-in-a-log
    logger.info("user_logged_in", user_id=user.id)


def certificates(address):
    # ruleid: unchecked-certificate
    connected(address, verify=False)
    # ruleid: unchecked-certificate
    ssl._create_unverified_context()
    # ok: unchecked-certificate
    connected(address, verify=True)


def checks(signature, expected, kind):
    # ruleid: comparison-of-secrets
    if signature == expected:
        return True
    # ok: comparison-of-secrets
    if kind == expected:
        return True
    # ok: comparison-of-secrets
    return hmac.compare_digest(signature, expected)
