"""Files of packages that no function uses: the build removes them or imports them late, so that Lambda has less to load."""

import ast
import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

# Paths inside the layer's package folder; a `*` matches within one name. Extend the list when a package is added, and run
# `tests/e2e/test_built.py`, which runs every function from the build.
UNUSED = (
    "*/tests",
    "**/*.pyi",
    # Lists of installed files with their hashes, for uninstalling.
    "*.dist-info/RECORD",
    # Bills of materials of what was linked into a package (PEP 770).
    "*.dist-info/sboms",
    "anyio/pytest_plugin.py",
    "anyio/_backends/_trio.py",
    # Powertools: Parley uses its logger and metrics.
    "aws_lambda_powertools/event_handler",
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("batch", "data_classes", "idempotency", "kafka", "parameters", "parser")),
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("auth_alpha", "circuit_breaker", "data_masking", "feature_flags")),
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("metadata", "streaming", "validation")),
    # Needed to compile extension modules, not to run them; `_cffi_backend` runs them.
    "cffi",
    "pycparser",
    # Texts about FastAPI for people's tools.
    "fastapi/.agents",
    "fastapi/cli.py",
    "fastapi/testclient.py",
    "jsonschema/benchmarks",
    "jsonschema/cli.py",
    "pgvector/asyncpg",
    "pgvector/django",
    "pgvector/peewee",
    "pgvector/pg8000",
    "pgvector/psycopg2",
    "psycopg/crdb",
    # psycopg without its binary package.
    "psycopg/pq/_pq_ctypes.py",
    "psycopg/pq/pq_ctypes.py",
    "pydantic/experimental/pipeline.py",
    "pydantic/mypy.py",
    # FastAPI looks for models of Pydantic 1 and does without them if this cannot be imported.
    "pydantic/v1",
    # SQLAlchemy: Parley uses Core with psycopg. Alembic uses `ext.compiler`.
    "sqlalchemy/dialects/mssql",
    "sqlalchemy/dialects/mysql",
    "sqlalchemy/dialects/oracle",
    "sqlalchemy/dialects/sqlite",
    "sqlalchemy/ext/[!_c]*",
    "sqlalchemy/orm",
    "sqlalchemy/testing",
    "starlette/testclient.py",
)

# Files that `sam build` copies beside the packages: their names and hashes, for installing them.
BUILD_FILES = ("requirements.txt",)

# Paths inside a function's artefact, by function.
UNUSED_BY_FUNCTION = {
    "EmbedderFunction": (
        # `tokenizers` lists these for downloads from Hugging Face. The tokenizer's file is in the artefact.
        *("huggingface_hub", "hf_xet", "fsspec", "filelock", "httpcore", "httpx", "h11", "tqdm", "typer", "shellingham", "yaml", "_yaml"),
        *("rich", "pygments", "markdown_it", "mdurl"),
        # ONNX Runtime without its tools for models, and without its library for C, which its Python module contains as well.
        "onnxruntime/capi/libonnxruntime.so*",
        *("flatbuffers", "google", "packaging"),
        *(f"onnxruntime/{name}" for name in ("backend", "datasets", "quantization", "tools", "transformers")),
        "numpy/f2py",
        "numpy/**/tests",
        "numpy/**/*.pyi",
        "bin",
    ),
}

# Folders inside an artefact whose packages only collect names. `import openai` imports the types of its whole API, 400 modules, of which a
# chat completion needs few.
LAZY = ("openai/types",)

_LAZY_PACKAGE = """\
import importlib as _importlib

# Each name with its module and its name there, which is empty for the module itself.
_NAMES = {names}


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")
    module_name, attribute = _NAMES[name]
    module = _importlib.import_module(module_name, __name__)
    value = globals()[name] = getattr(module, attribute) if attribute else module
    return value
"""

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")


def remove_unused_files(folder: Path, patterns: Iterable[str] = UNUSED) -> list[Path]:
    """Remove the files and folders that match a pattern from a package folder; return their paths relative to the folder."""
    removed = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return [path.relative_to(folder) for path in removed]


def blank_debug_sections(folder: Path) -> None:
    """Overwrite the debugging symbols of extension modules with zeros, which a zip file stores in almost no space.

    This works for any processor, unlike strip(1) of this machine. The loader does not read these sections.
    """
    for path in folder.rglob("*.so*"):
        content = bytearray(path.read_bytes())
        sections = list(_debug_sections(content))
        for start, size in sections:
            content[start : start + size] = bytes(size)
        if sections:
            path.write_bytes(content)


def _debug_sections(elf: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yield offset and size of each section with debugging symbols of a 64-bit ELF file (System V ABI, elf(5))."""
    if not elf.startswith(_ELF64_LITTLE_ENDIAN):
        return
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [_SECTION_HEADER.unpack_from(elf, table + number * entry_size) for number in range(count)]
    names = headers[names_index][4]
    for name, kind, _, _, offset, size, *_ in headers:
        has_content = kind != 8  # SHT_NOBITS
        if has_content and elf[names + name :].startswith(b".debug_"):
            yield offset, size


def make_packages_lazy(artefact: Path) -> None:
    """Rewrite the packages in the folders of `LAZY`. A package that does anything but import names stays as it is."""
    for folder in LAZY:
        for package in sorted((artefact / folder).rglob("__init__.py")):
            if names := collected_names(package.read_text()):
                package.write_text(_LAZY_PACKAGE.format(names=names))


def collected_names(source: str) -> dict[str, tuple[str, str]]:
    """Return the names that a package imports from its own modules, each with its module and its name there.

    The result is empty if the package does anything else, apart from comments and `from __future__ import annotations`.
    """
    names: dict[str, tuple[str, str]] = {}
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.ImportFrom):
            return {}
        if statement.module == "__future__":
            continue
        if not statement.level or any(alias.name == "*" for alias in statement.names):
            return {}
        dots = "." * statement.level
        for alias in statement.names:
            target = (f"{dots}{statement.module}", alias.name) if statement.module else (f"{dots}{alias.name}", "")
            names[alias.asname or alias.name] = target
    return names
