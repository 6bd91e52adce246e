"""Packages of OpenAI's SDK that the build rewrites to import a module when a name of it is used."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from local.sam_build.unused_files import collected_names, make_packages_lazy

IMPORT_ALL = """
import importlib, sys, openai
from openai.types.chat import ChatCompletionChunk
print(len([name for name in sys.modules if name.startswith("openai.types.responses.")]) < 20)
for package in sys.argv[1:]:
    module = importlib.import_module(package)
    for name in getattr(module, "_NAMES", ()):
        getattr(module, name)
print(openai.types.chat.ChatCompletionChunk is ChatCompletionChunk, hasattr(openai.types, "no_such_name"))
"""


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    """An artefact with the installed SDK, made lazy."""
    folder = tmp_path_factory.mktemp("artefact")
    installed = Path(sysconfig.get_path("purelib")) / "openai"
    shutil.copytree(installed, folder / "openai", ignore=shutil.ignore_patterns("__pycache__"))
    make_packages_lazy(folder)
    return folder


def test_a_lazy_sdk_has_every_name_and_imports_few_at_first(artefact):
    inits = sorted((artefact / "openai" / "types").rglob("__init__.py"))
    packages = [".".join(path.parent.relative_to(artefact).parts) for path in inits]
    done = subprocess.run([sys.executable, "-B", "-c", IMPORT_ALL, *packages], cwd=artefact, capture_output=True, text=True, check=False)

    assert (done.stdout.split(), done.stderr) == (["True", "True", "False"], "")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("# generated\nfrom __future__ import annotations\nfrom .a import B as B, C", {"B": (".a", "B"), "C": (".a", "C")}),
        ("from . import a as a\nfrom ..b import D as E", {"a": (".a", ""), "E": ("..b", "D")}),
        ("from .a import B\nB.model_rebuild()", {}),
        ("from .a import *", {}),
        ("from typing import Any", {}),
        ("", {}),
    ],
)
def test_only_a_package_that_just_collects_names_is_rewritten(source, names):
    assert collected_names(source) == names
