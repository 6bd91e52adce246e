"""Python 3.13 for arm64: this machine's own, or Debian's in an emulator of the processor that Lambda uses."""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from local.runtime.launch import base_interpreter

# The first release of Debian with Python 3.13. The emulator is from there as well: version 7.2 crashes when it loads ONNX Runtime.
_SUITE = "trixie"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_EMULATOR = "usr/bin/qemu-aarch64"
_PACKAGES = ("python3.13-minimal", "libpython3.13-stdlib", "libstdc++6")
# AWS Graviton2, on which Lambda runs arm64.
_PROCESSOR = "neoverse-n1"
# Lambda does not have these files, which ONNX Runtime wants to read. Opening a folder of that name fails as well.
_MISSING_ON_LAMBDA = ("sys/devices/system/cpu/possible", "sys/devices/system/cpu/present")


class NoPython(Exception):
    """This machine cannot run Python for arm64. The message says why."""


def arm64_python(folder: Path) -> tuple[str, ...]:
    """Return the command that runs Python 3.13 for arm64. Raises `NoPython`.

    On another processor, it downloads Debian's packages for it once and unpacks them below `folder`; it installs nothing.
    """
    if sys.platform == "linux" and platform.machine() == "aarch64":
        return (base_interpreter(),)
    root, emulator = folder / "root", folder / _EMULATOR
    if not root.is_dir():
        _unpack(folder, _download(folder / "apt"))
    return (str(emulator), "-cpu", _PROCESSOR, "-L", str(root), str(root / "usr/bin/python3.13"))


def _download(folder: Path) -> Path:
    """Download the packages with a configuration of apt that is separate from this machine's; return their folder."""
    if missing := next((name for name in ("apt-get", "dpkg-deb") if not shutil.which(name)), None):
        raise NoPython(f"there is no `{missing}`, and the emulator and Python for arm64 are packages of Debian")
    # Of this machine's package sources, the one of Debian itself.
    archive, *_ = [*_run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian").split(), None]
    if not archive or not Path(_KEYRING).is_file():
        raise NoPython("apt does not know Debian's archive: on Debian, apt-get update && apt-get install debian-archive-keyring")
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/apt/sources.list").write_text(f"deb [signed-by={_KEYRING}] {archive} {_SUITE} main\n")
    (folder / "status").touch()
    own = _run("dpkg", "--print-architecture").strip()
    settings = {"Dir": folder, "Dir::State::status": folder / "status", "APT::Architecture": "arm64", "APT::Sandbox::User": "root"}
    options = [f"-o{name}={value}" for name, value in settings.items()] + [f"-oAPT::Architectures::={name}" for name in ("arm64", own)]
    packages = folder / "var/cache/apt/archives"
    _run("apt-get", *options, "-qq", "update")
    _run("apt-get", *options, "-qq", "--yes", "--no-install-recommends", "--download-only", "install", *_PACKAGES)
    _run("apt-get", *options, "-qq", "download", f"qemu-user:{own}", within=packages)
    return packages


def _unpack(folder: Path, packages: Path) -> None:
    unpacked, root = folder / "apt/unpacked", folder / "root"
    for package in packages.glob("*.deb"):
        if package.name.startswith("qemu-user"):
            _unpack_emulator(package, folder)
        else:
            _run("dpkg-deb", "--extract", str(package), str(unpacked))
    (unpacked / "lib").symlink_to("usr/lib")
    for name in _MISSING_ON_LAMBDA:
        (unpacked / name).mkdir(parents=True)
    unpacked.rename(root)
    shutil.rmtree(folder / "apt")


def _unpack_emulator(package: Path, folder: Path) -> None:
    """Unpack the one program that is needed of a package with the emulators of all processors."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, tarfile.open(fileobj=process.stdout, mode="r|") as archive:
        for member in archive:
            if member.name == f"./{_EMULATOR}":
                archive.extract(member, folder, filter="data")


def _run(*command: str, within: Path | None = None) -> str:
    done = subprocess.run(command, cwd=within, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoPython(f"`{command[0]}` failed: {done.stderr.strip()[-500:]}")
    return done.stdout
