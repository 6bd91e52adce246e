"""SnapStart's hooks, run by AWS's own package in a process that believes to be snapshotted."""

import json
import os
import subprocess
import sys
import textwrap

import pytest


def run_snapshotted(code, **variables):
    """Run code in a process with SnapStart. `take_snapshot()` runs the hooks before, `restore()` the hooks after it."""
    prelude = """
        import json, os, random
        from snapshot_restore_py import get_after_restore, get_before_snapshot
        def run(hooks):
            for hook, args, kwargs in list(hooks):
                hook(*args, **kwargs)
        def take_snapshot():
            run(reversed(get_before_snapshot()))
        def restore():
            run(get_after_restore())
    """
    program = textwrap.dedent(prelude) + textwrap.dedent(code)
    environment = os.environ | {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"} | variables
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_connections_are_closed_before_the_snapshot_and_opened_again_when_needed(environment):
    idle = run_snapshotted(
        """
        from parley.db.engine import make_engine
        from parley.settings import DatabaseSettings
        from sqlalchemy import text
        engine = make_engine(DatabaseSettings.read())
        def ask():
            with engine.connect() as connection:
                return connection.execute(text("SELECT 1")).scalar_one()
        seen = [ask(), engine.pool.checkedin()]
        take_snapshot()
        seen.append(engine.pool.checkedin())
        restore()
        print(json.dumps([*seen, ask()]))
        """
    )

    assert idle == [1, 1, 0, 1]


def test_two_workers_of_one_snapshot_draw_different_numbers():
    drawn = run_snapshotted(
        """
        import parley.snapshots
        take_snapshot()
        random.seed(1)
        def worker():
            out, into = os.pipe()
            if os.fork() == 0:
                restore()
                os.write(into, str(random.random()).encode())
                os._exit(0)
            os.wait()
            return os.read(out, 100).decode()
        print(json.dumps([worker(), worker()]))
        """
    )

    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("module", ["parley.aws.sqs._sqs", "parley.aws.s3._client"])
def test_clients_and_their_credentials_are_made_again(environment, aws, module):
    path, _, name = module.rpartition(".")
    arguments = "30.0" if name == "_client" else ""
    is_same = run_snapshotted(
        f"""
        from {path} import {name}
        before = {name}({arguments})
        take_snapshot()
        restore()
        print(json.dumps({name}({arguments}) is before))
        """
    )

    assert is_same is False


def test_signing_keys_and_the_catalogue_are_read_again():
    reads = run_snapshotted(
        """
        from parley.auth.key_cache import KeyCache
        from parley.llm import live_catalogue
        reads = []
        cache = KeyCache(lambda: reads.append("keys"), clock=lambda: 0.0)
        live_catalogue._fetch_parameter = lambda name: reads.append("catalogue") or (1, "")
        source = live_catalogue.ParameterSource("/x", now_s=lambda: 0.0)
        for step in (lambda: None, take_snapshot):
            step()
            cache(), source.changed()
        print(json.dumps(reads))
        """
    )

    assert reads == ["keys", "catalogue"] * 2


def test_without_snapstart_no_hook_is_registered():
    code = "import sys, parley.snapshots; parley.snapshots.before_snapshot(print); print('snapshot_restore_py' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
