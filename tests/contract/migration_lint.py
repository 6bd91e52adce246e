"""Lints the SQL of the migrations with squawk: `python -m tests.contract.migration_lint`, a part of `make check`.

A migration must not hold a lock for long on a table that requests use, and the previous release must work on its result. The
linter sees each migration as the migrate function runs it: with its time limits and transactions.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from functions.migrate.upgrade import migrations_config
from parley.db.migrations.operations import LIMITS

PG_VERSION = "16.0"
EXCLUDED = {
    # Integers count events of a turn, chunks of a document and the like, which stay far below 2 billion.
    "prefer-bigint-over-int",
    # The column of Alembic's own table.
    "prefer-text-field",
}
_BEFORE_THE_RULE = "no release had this schema, so no database with much data runs it"
# (migration, rule): why the migration may break the rule
ACCEPTED = {
    ("0004", "require-concurrent-index-creation"): _BEFORE_THE_RULE,
    ("0004", "constraint-missing-not-valid"): _BEFORE_THE_RULE,
    ("0005", "require-concurrent-index-creation"): _BEFORE_THE_RULE,
    ("0005", "require-concurrent-index-deletion"): _BEFORE_THE_RULE,
    ("0011", "prefer-robust-stmts"): "the backfill runs in batches, and again after an interruption",
    ("0013", "prefer-robust-stmts"): "validating a valid constraint again changes nothing",
    ("0051", "prefer-robust-stmts"): "validating a valid constraint again changes nothing",
    ("0058", "prefer-robust-stmts"): "validating a valid constraint again changes nothing",
    ("0064", "prefer-robust-stmts"): "validating a valid constraint again changes nothing",
    ("0021", "ban-drop-generated-expression"): "a trigger writes the same values",
    ("0066", "ban-drop-generated-expression"): "a trigger writes the same values",
    ("0011", "ban-drop-function"): "replaced in the same transaction; no release called the earlier functions",
    ("0013", "ban-drop-constraint"): "replaced in the same transaction by a constraint that allows more",
    ("0057", "ban-drop-constraint"): "replaced in the same transaction by a constraint that allows more",
    ("0063", "ban-drop-constraint"): "replaced in the same transaction by a constraint that allows more",
}


def migration_sql() -> dict[str, str]:
    """Return the SQL of each migration by revision, oldest first."""
    config = migrations_config()
    found = {}
    for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions())):
        config.output_buffer = io.StringIO()
        command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
        found[script.revision] = config.output_buffer.getvalue().replace("BEGIN;\n", f"BEGIN;\n{LIMITS}\n")
    return found


def problems(migrations: dict[str, str]) -> list[str]:
    """Return what squawk finds in migrations by revision, a line each, without what is excluded or accepted above."""
    program = shutil.which("squawk", path=str(Path(sys.executable).parent)) or "squawk"
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for revision, sql in migrations.items():
            paths.append(Path(folder) / f"{revision}.sql")
            paths[-1].write_text(sql)
        options = ["--reporter", "json", "--pg-version", PG_VERSION, *(f"--exclude={rule}" for rule in sorted(EXCLUDED))]
        done = subprocess.run([program, *options, *map(str, paths)], capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise RuntimeError(f"squawk failed: {done.stderr.strip()}")
    found = [(Path(one["file"]).stem, one) for one in json.loads(done.stdout)]
    return [f"{name}: {one['rule_name']}: {one['message']}" for name, one in found if (name, one["rule_name"]) not in ACCEPTED]


def main() -> int:
    """Print the problems, and return the exit status."""
    found = problems(migration_sql())
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
