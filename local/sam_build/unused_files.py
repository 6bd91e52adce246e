"""Files of packages that no function uses: the build removes them, so that Lambda has less to load."""

import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

# Paths inside the layer's package folder; a `*` matches within one name. Extend the list when a package is added, and run
# `tests/e2e/test_built.py`, which runs every function from the build.
UNUSED = (
    "*/tests",
    "**/*.pyi",
    "anyio/pytest_plugin.py",
    "anyio/_backends/_trio.py",
    # Powertools: Parley uses its logger and metrics.
    "aws_lambda_powertools/event_handler",
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("batch", "data_classes", "idempotency", "kafka", "parameters", "parser")),
    # Needed to compile extension modules, not to run them; `_cffi_backend` runs them.
    "cffi",
    "pycparser",
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
