"""Build artefacts: duplicates removed, compiled, measured, and checked to run on this machine."""

import importlib.util
import os
import shutil
import sys
import sysconfig
import zlib
from pathlib import Path

import pytest
from aws_lambda_builders.workflows.python_pip.packager import DependencyBuilder

from local.sam_build import artefacts
from local.sam_build.artefacts import ArtefactSize, BuildFailed, compile_bytecode, remove_duplicates
from local.sam_build.tree import BuildTree, BuildUnusable, check_runnable, newer_source
from local.sam_build.unused_files import UNUSED, blank_debug_sections, remove_unused_files

TEMPLATE = """
Resources:
  OneFunction: {Type: AWS::Serverless::Function}
  OneLayer: {Type: AWS::Serverless::LayerVersion}
  OneStack: {Type: AWS::CloudFormation::Stack}
"""


def install(folder: Path, name: str, version: str, *files: str) -> None:
    """Install a distribution with these files into a folder."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("x = 1\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in [*files, f"{info.name}/RECORD", "../outside.py"]))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_the_layer_brings_is_removed_with_all_its_files(tmp_path: Path) -> None:
    function, layer = tmp_path / "Function", tmp_path / "Layer"
    for folder in (function, layer):
        install(folder, "typing_extensions", "4.0", "typing_extensions.py")
        install(folder, "cffi", "2.0", "cffi/api.py", "cffi/sub/deep.py", "_cffi_backend.so")
    install(function, "argon2", "1.0", "argon2/low.py")
    (function / "app.py").touch()

    assert remove_duplicates(function, of=layer) == ["cffi", "typing-extensions"]
    assert names(function) == ["app.py", "argon2-1.0.dist-info/RECORD", "argon2/low.py"]
    assert not (function / "cffi").exists()


def test_another_version_stays_and_so_does_what_a_kept_package_shares(tmp_path: Path) -> None:
    function, layer = tmp_path / "Function", tmp_path / "Layer"
    install(function, "one", "1.0", "space/one.py", "space/shared.py")
    install(function, "other", "2.0", "space/shared.py")
    install(layer, "one", "1.0", "space/one.py")
    install(layer, "other", "1.0", "space/shared.py")

    assert remove_duplicates(function, of=layer) == ["one"]
    assert names(function) == ["other-2.0.dist-info/RECORD", "space/shared.py"]


def test_nothing_outside_of_the_artefact_is_touched(tmp_path: Path) -> None:
    install(tmp_path / "Function", "one", "1.0", "one.py")
    install(tmp_path / "Layer", "one", "1.0", "one.py")
    (tmp_path / "outside.py").touch()
    remove_duplicates(tmp_path / "Function", of=tmp_path / "Layer")

    assert (tmp_path / "outside.py").exists()


@pytest.fixture
def tree(tmp_path: Path) -> BuildTree:
    """A built stack with one function, one layer and one nested stack."""
    (tmp_path / "build" / "OneFunction").mkdir(parents=True)
    (tmp_path / "build" / "OneFunction" / "app.py").write_text("def handler(event, context):\n    return 1\n")
    (tmp_path / "build" / "OneLayer" / "python").mkdir(parents=True)
    (tmp_path / "build" / "OneLayer" / "python" / "lib.py").write_text("x = 1\n")
    (tmp_path / "build" / "OneStack").mkdir()
    (tmp_path / "build" / "OneStack" / "template.yaml").touch()
    (tmp_path / "build" / "template.yaml").write_text(TEMPLATE)
    return BuildTree(tmp_path / "build")


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder that looks like AWS's runtime."""
    (tmp_path / "runtime" / "awslambdaric").mkdir(parents=True)
    return tmp_path / "runtime"


def test_pip_chooses_among_the_wheels_that_sam_build_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "_own_architecture", lambda: "x86_64")
    accepted = DependencyBuilder(None, "python3.13", sys.executable, pip_runner=object(), architecture="arm64").compatible_platforms

    assert ["any", *artefacts.wheel_choice("arm64")["PIP_PLATFORM"].split()] == accepted
    assert (sys.platform == "linux") is (artefacts.wheel_choice("x86_64") == {})


def test_modules_are_compiled_for_where_they_will_be(tree: BuildTree) -> None:
    compile_bytecode(tree)
    function = Path(importlib.util.cache_from_source(str(tree.functions["OneFunction"] / "app.py"))).read_bytes()
    layer = Path(importlib.util.cache_from_source(str(tree.layers["OneLayer"] / "lib.py"))).read_bytes()

    assert (function[4], layer[4]) == (1, 1)
    assert b"/var/task/app.py" in function
    assert b"/opt/python/lib.py" in layer


def test_functions_with_the_same_module_have_the_same_bytecode(tree: BuildTree) -> None:
    tree.template.write_text(TEMPLATE + "  OtherFunction: {Type: AWS::Serverless::Function}\n")
    shutil.copytree(tree.root / "OneFunction", tree.root / "OtherFunction")
    (tree.root / "OtherFunction" / "own.py").write_text("y = 2\n")
    (tree.root / "OneFunction" / "own.py").write_text("y = 1\n")
    compile_bytecode(tree)
    compiled = {name: {path.name: path.read_bytes() for path in folder.rglob("*.pyc")} for name, folder in tree.functions.items()}
    shared, own = (f"{name}.{sys.implementation.cache_tag}.pyc" for name in ("app", "own"))

    assert compiled["OneFunction"][shared] == compiled["OtherFunction"][shared]
    assert compiled["OneFunction"][own] != compiled["OtherFunction"][own]


def test_a_module_that_cannot_be_compiled_fails_the_build(tree: BuildTree) -> None:
    (tree.functions["OneFunction"] / "broken.py").write_text("def (")

    with pytest.raises(BuildFailed, match="OneFunction"):
        compile_bytecode(tree)


def test_the_table_has_a_row_for_each_artefact(tree: BuildTree) -> None:
    header, *rows = artefacts.size_table(tree).splitlines()

    assert header.split() == ["ARTEFACT", "UNZIPPED", "MB", "ZIPPED", "MB", ".PYC"]
    assert [row.split()[0] for row in rows] == ["OneFunction", "OneLayer"]


def test_the_size_of_the_zip_file_is_exact(tree: BuildTree, tmp_path: Path) -> None:
    folder = tree.functions["OneFunction"]
    (folder / "größe.txt").write_text("the same words " * 1000)
    (folder / "empty").touch()
    shutil.copy(folder / "app.py", folder / "again.py")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))

    assert ArtefactSize.of(folder).zipped == packed.stat().st_size


def test_a_build_for_this_machine_is_usable(tree: BuildTree, runtime: Path) -> None:
    (tree.functions["OneFunction"] / f"fast{sysconfig.get_config_var('EXT_SUFFIX')}").touch()

    check_runnable(tree, runtime=runtime)


def test_without_a_build_the_way_to_one_is_told(tmp_path: Path, runtime: Path) -> None:
    with pytest.raises(BuildUnusable, match="there is no build in .*: run `make build ARCHITECTURE=native`"):
        check_runnable(BuildTree(tmp_path / "nothing"), runtime=runtime)


def test_a_build_for_another_machine_is_refused(tree: BuildTree, runtime: Path) -> None:
    (tree.layers["OneLayer"] / "fast.cpython-313-riscv64-linux-gnu.so").touch()

    with pytest.raises(BuildUnusable, match="for another machine"):
        check_runnable(tree, runtime=runtime)


def test_without_awss_runtime_the_way_to_it_is_told(tree: BuildTree, tmp_path: Path) -> None:
    with pytest.raises(BuildUnusable, match="run `make runtime`"):
        check_runnable(tree, runtime=tmp_path / "nothing")


def test_a_source_newer_than_the_build_is_named(tree: BuildTree, tmp_path: Path) -> None:
    source = tmp_path / "functions" / "one" / "app.py"
    source.parent.mkdir(parents=True)
    source.touch()
    os.utime(source, (1, 1))
    assert newer_source(tree, checkout=tmp_path) is None

    later = tree.template.stat().st_mtime + 5
    os.utime(source, (later, later))
    assert newer_source(tree, checkout=tmp_path) == Path("functions/one/app.py")


def test_what_no_function_uses_is_removed_from_the_layer(tmp_path: Path) -> None:
    install(tmp_path, "sqlalchemy", "2.1", "sqlalchemy/orm/session.py", "sqlalchemy/sql/text.py", "sqlalchemy/ext/compiler.py")
    install(tmp_path, "jsonschema", "4.0", "jsonschema/tests/test_cli.py", "jsonschema/protocols.pyi", "jsonschema/validators.py")

    remove_unused_files(tmp_path)

    assert names(tmp_path) == [
        "jsonschema/validators.py",
        "sqlalchemy/ext/compiler.py",
        "sqlalchemy/sql/text.py",
    ]


def test_each_unused_path_exists_in_an_installed_package() -> None:
    """A path that a new version has moved would stay in the layer unnoticed."""
    packages = Path(sysconfig.get_path("purelib"))

    assert [pattern for pattern in UNUSED if not any(packages.glob(pattern))] == []


def test_an_extension_module_works_without_its_debugging_symbols(tmp_path: Path) -> None:
    [path] = Path(sysconfig.get_path("purelib")).glob("sqlalchemy/util/_immutabledict_cy.*.so")
    module = tmp_path / path.name
    module.write_bytes(path.read_bytes())

    blank_debug_sections(tmp_path)

    assert len(zlib.compress(module.read_bytes())) < len(zlib.compress(path.read_bytes())) * 0.8
    spec = importlib.util.spec_from_file_location("sqlalchemy.util._immutabledict_cy", module)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    assert loaded.immutabledict({"a": 1}) == {"a": 1}
