"""Rules of layout and language, as functions of a tree: what breaks them is returned, a sentence each.

The rules are those of CONTRIBUTING.md. Every function takes the root of a checkout, so that a test can show it a small
tree that breaks the rule.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

MAX_MODULES = 20
SMALL_LINES = 60
PRODUCT = ("functions", "layers/shared/parley", "local", "cli")
EVERYWHERE = (*PRODUCT, "tests", "bench", "openapi")

# Nouns of the field that end as participles do.
NOUNS = frozenset({"embedding", "embeddings", "streaming", "paging", "metering", "reranking", "settings", "listing"})
# A process or an import cost is the wall: each entry says which.
SMALL_ON_PURPOSE = {
    "functions/authorizer/policy.py": "the authorizer's answer, imported by nothing heavy",
    "functions/health/checks.py": "`routes.py` holds no logic",
    "functions/upkeep/jobs.py": "the table of jobs; `app.py` only composes",
    "functions/migrate/mcp_queries.py": "one step of a deployment; `app.py` only composes",
    "functions/migrate/upgrade.py": "imports Alembic, which `app.py` must not before it has logged its start",
    "layers/shared/parley/db/migrations/operations.py": "imported by the migrations, which this rule skips",
    "functions/summarize/titles.py": "one of the jobs, each of which has a module",
    "functions/toolrunner/langchain.py": "imports LangChain, which only a plugin brings",
    "functions/toolrunner/mcp_transport.py": "imports the HTTP client, which `mcp_client.py` must not before its first call",
    "functions/web/files.py": "`routes.py` holds no logic",
    "layers/shared/parley/observability/settings.py": "the only part of observability that reads the environment",
}

# Translated phrases and private words, with what to write instead. Searched in docstrings, comments and messages.
BANNED = {
    r"\bdesk\b": "services",
    r"\banew\b": "again",
    r"\bwhoever\b": "the noun: the user, the caller",
    r"\bwhatever (?:it|they|there|is|was)\b": "any, all",
    r"\btell(?:s|ing)? of\b|\btold of\b": "report, describe",
    r"\bsa(?:y|ys|id|ying) of\b": "describe",
    r"\bword of the user\b|\buser's word\b": "approval, decision",
    r"(?<!there )(?<!There )\bis no (?!longer\b|more\b|effect\b|later\b|such\b|part\b|other\b)[A-Za-z]+\b": "is not a ...",
    r"(?<!there )(?<!There )\bare no (?!longer\b|more\b)[A-Za-z]+\b": "are not ...",
    r"\bshall\b": "must, will",
    r"\bgo(?:es)? without\b": "lack, skip, continue without",
    r"\bby its word\b|\bof its word\b|\bin the words of\b": "in the format of",
    r"\bways? in\b": "entry point",
    r"\bvouched\b": "trusted",
    r"\bparrot\b|\btether\b|\berrands?\b|\bcabinet\b": "the field's noun",
    r"\b(?!C[01]\b)[ACDIJLPRT][0-9]{1,2}\b(?=[:;,.) ])": "the requirement in words",
}


def python_files(root: Path, folders: tuple[str, ...] = EVERYWHERE) -> Iterator[Path]:
    """Yield the Python files below `folders`, without migrations."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            if "migrations/versions" not in path.as_posix() and "__pycache__" not in path.parts:
                yield path


def gerund_modules(root: Path) -> list[str]:
    """Return modules and packages whose name is a gerund or participle instead of a noun."""
    found = []
    for path in python_files(root):
        name = path.parent.name if path.name == "__init__.py" else path.stem
        last = name.rpartition("_")[2]
        if not path.name.startswith("test_") and re.search(r"(?:ing|ed)$", last) and last not in NOUNS and not _is_noun(last):
            found.append(f"{path.relative_to(root)}: name the module by a noun")
    return found


def _is_noun(word: str) -> bool:
    # "feed", "thing", "string": the ending belongs to the stem.
    return len(word) <= 5


def crowded_folders(root: Path) -> list[str]:
    """Return folders of product code with more than `MAX_MODULES` modules."""
    counts: dict[Path, int] = defaultdict(int)
    for path in python_files(root, (*PRODUCT, "bench", "openapi", "tests/support", "tests/fakes")):
        if path.name != "__init__.py":
            counts[path.parent] += 1
    return [f"{folder.relative_to(root)}: {n} modules, cut it into rooms" for folder, n in counts.items() if n > MAX_MODULES]


def lone_small_modules(root: Path) -> list[str]:
    """Return modules under `SMALL_LINES` lines that exactly one module imports, and that one lives in the same folder."""
    files = list(python_files(root, PRODUCT))
    importers: dict[str, set[Path]] = defaultdict(set)
    for path in [*files, *python_files(root, ("tests", "bench", "openapi"))]:
        for name in imported_modules(path):
            importers[name].add(path)
    found = []
    for path in files:
        relative = path.relative_to(root).as_posix()
        users = {one for one in importers[module_name(root, path)] if one != path and "tests" not in one.relative_to(root).parts}
        is_small = len(path.read_text().splitlines()) < SMALL_LINES
        # Every HTTP function has `routes.py`, which openapi/ imports by name; tables stand one module an aggregate.
        if (
            path.stem in {"__init__", "__main__", "app", "routes"}
            or path.parent.name == "tables"
            or relative in SMALL_ON_PURPOSE
            or not is_small
            or len(users) != 1
        ):
            continue
        if next(iter(users)).parent == path.parent:
            found.append(f"{relative}: its only importer is {next(iter(users)).name}; make them one module")
    return found


def module_name(root: Path, path: Path) -> str:
    """Return the dotted name by which `path` is imported."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[2:] if parts[:2] == ("layers", "shared") else parts)


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file may import: modules, and modules by their package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def repeated_class_names(root: Path) -> list[str]:
    """Return class names that two modules of the functions and the layer define."""
    places: dict[str, set[str]] = defaultdict(set)
    for path in python_files(root, ("functions", "layers/shared/parley")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(path.relative_to(root).as_posix())
    return [f"{name}: defined in {', '.join(sorted(found))}" for name, found in sorted(places.items()) if len(found) > 1]


def banned_phrases(root: Path) -> list[str]:
    """Return where a docstring, a comment or a message of product code uses a banned phrase."""
    found = []
    for path in python_files(root, PRODUCT):
        for line, text in prose(path):
            for pattern, instead in BANNED.items():
                if hit := re.search(pattern, text, re.IGNORECASE if pattern.islower() else 0):
                    found.append(f"{path.relative_to(root)}:{line}: {hit.group()!r}; write: {instead}")
            if re.match(r"(?:What|Who|Whoever)\b", text) and not text.rstrip().endswith("?"):
                found.append(f"{path.relative_to(root)}:{line}: begins with {text.split()[0]!r}; begin with the noun or the verb")
    return found


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings, comments and sentence-like strings of a file with their lines."""
    source = path.read_text()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_sentence(node.value):
            yield node.lineno, node.value
    for number, line in enumerate(source.splitlines(), start=1):
        if comment := re.match(r"\s*#\s?(.*)", line):
            yield number, comment.group(1)


def _is_sentence(text: str) -> bool:
    is_sql = re.match(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|GRANT|FROM)\b", text)
    return text.count(" ") >= 2 and not is_sql


def log_events(root: Path) -> dict[str, list[str]]:
    """Return the first argument of every log call in functions and layer, with its places; an empty name if it is not a constant."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in python_files(root, ("functions", "layers/shared/parley")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_log(node.func):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Attribute) and first.attr.endswith("_event"):
                    continue  # its values are found below
                event = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
                found[event].append(f"{path.relative_to(root)}:{node.lineno}")
            elif isinstance(node, ast.keyword) and (node.arg or "").endswith("_event") and isinstance(node.value, ast.Constant):
                found[str(node.value.value)].append(f"{path.relative_to(root)}:{node.value.lineno}")
    return found


def _is_log(function: ast.Attribute) -> bool:
    is_logger = isinstance(function.value, ast.Name) and function.value.id == "logger"
    return is_logger and function.attr in {"debug", "info", "warning", "error", "exception", "critical"}


def metric_names(root: Path) -> set[str]:
    """Return the names of the metrics that functions and layer put."""
    names = set()
    for path in python_files(root, ("functions", "layers/shared/parley")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "put_metrics":
                for argument in node.args[:1]:
                    keys = [key for one in ast.walk(argument) if isinstance(one, ast.Dict) for key in one.keys]
                    names |= {key.value for key in keys if isinstance(key, ast.Constant)}
    return names


def documented_names(page: Path, heading: str) -> set[str]:
    """Return the first column of the table below `heading` of a Markdown page."""
    section = page.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))
