"""The system user for PostgreSQL and PgBouncer, which refuse to run as root."""

import os
import pwd
import shutil
import subprocess
from functools import cache
from pathlib import Path

from local.data_dir import allow_traversal
from local.processes import SystemUser

_USER_NAME = "pgserver"


class NoSystemUser(Exception):
    """The emulator runs as root and cannot create a system user for the database."""


@cache
def database_user() -> SystemUser | None:
    """Return the user to run the database as, or None for the current user. When run as root, create the user if missing."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_USER_NAME)
    except KeyError:
        entry = _create_user()
    return SystemUser(entry.pw_uid, entry.pw_gid)


def make_owned_folder(folder: Path) -> None:
    """Create a private folder owned by the database's user, and let that user traverse the folders above it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if identity := database_user():
        os.chown(folder, identity.uid, identity.gid)
        allow_traversal(folder)


def _create_user() -> pwd.struct_passwd:
    command = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if command is None:
        raise NoSystemUser(f"PostgreSQL does not run as root: create a system user {_USER_NAME!r}, or run as another user")
    useradd = subprocess.run(
        [command, "--system", "--no-create-home", "--shell", "/bin/false", _USER_NAME], capture_output=True, text=True, check=False
    )
    if useradd.returncode != 0:
        raise NoSystemUser(f"PostgreSQL does not run as root, and the user {_USER_NAME!r} cannot be created: {useradd.stderr.strip()}")
    return pwd.getpwnam(_USER_NAME)
