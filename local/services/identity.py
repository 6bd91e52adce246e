"""Who runs the database: PostgreSQL and PgBouncer refuse to run as root."""

import os
import pwd
import shutil
import subprocess
from functools import cache
from pathlib import Path

from local.children import Identity
from local.folder import let_through

_NAME = "pgserver"


class NoSystemUser(Exception):
    """There is no user to run the database as, and none could be made."""


@cache
def unprivileged() -> Identity | None:
    """Return the user to run as when this is root, else None: as who we are."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError:
        entry = _create()
    return Identity(entry.pw_uid, entry.pw_gid)


def own(folder: Path) -> None:
    """Make a private folder for the database's user, and let that user reach it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if identity := unprivileged():
        os.chown(folder, identity.uid, identity.gid)
        let_through(folder)


def _create() -> pwd.struct_passwd:
    command = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if command is None:
        raise NoSystemUser(f"PostgreSQL does not run as root: make a system user {_NAME!r}, or run as a user of your own")
    made = subprocess.run(
        [command, "--system", "--no-create-home", "--shell", "/bin/false", _NAME], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise NoSystemUser(f"PostgreSQL does not run as root, and the user {_NAME!r} could not be made: {made.stderr.strip()}")
    return pwd.getpwnam(_NAME)
