"""Read an `AWS::Lambda::Function` and find its code on disk."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from local.template.errors import Unresolvable
from local.template.parameters import scalar_text
from local.template.source import Fragment, TemplateSource
from local.template.stack import BULK_NICENESS, Function

FUNCTION_KIND = "AWS::Lambda::Function"
# With 5, a process gets a third of the processor time of one with 0, and with 15 a thirtieth (sched(7)). Follow-up jobs take little, but
# users notice when they are late: with 15, beside a busy program, a job of 30 ms took a minute.
_QUEUE_NICENESS = 5


def read_function(source: TemplateSource, name: str, properties: Fragment) -> Function:
    """Return the function. Raises `TemplateInvalid` if its code or its handler does not exist."""
    if not str(properties.get("Runtime", "")).startswith("python"):
        raise Unresolvable("the emulator supports Python runtimes only")
    folder = _code_folder(source, name)
    root = _search_root(source, name, folder)
    handler = str(properties.get("Handler", ""))
    _check_handler(source, name, handler, root)
    return Function(
        name=name,
        handler=handler,
        root=root,
        folder=folder,
        layers=tuple(_layer_folders(source, name, attached=[str(layer) for layer in properties.get("Layers", [])])),
        environment={key: scalar_text(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()},
        timeout_s=float(properties.get("Timeout", 3)),
        memory_mb=int(properties.get("MemorySize", 128)),
        log_format="JSON" if properties.get("LoggingConfig", {}).get("LogFormat") == "JSON" else "Text",
        log_level=str(properties.get("LoggingConfig", {}).get("ApplicationLogLevel", "INFO")),
        may_recurse=properties.get("RecursiveLoop") == "Allow",
        concurrency=properties.get("ReservedConcurrentExecutions"),
        is_isolated=source.resource(name).get("Metadata", {}).get("Isolated") is True,
        niceness=_niceness(source.resource(name)),
    )


def _niceness(function: Mapping[str, Any]) -> int:
    """Return the niceness of the function's workers. Queue functions give way to requests, and bulk functions give way to everything."""
    if not any(event.get("Type") == "SQS" for event in function["Properties"].get("Events", {}).values()):
        return 0
    return BULK_NICENESS if function.get("Metadata", {}).get("Bulk") is True else _QUEUE_NICENESS


def _code_folder(source: TemplateSource, name: str) -> Path:
    uri = source.resource(name).get("Properties", {}).get("CodeUri")
    if uri is None:
        uri = source.content.get("Globals", {}).get("Function", {}).get("CodeUri")
    if not isinstance(uri, str) or "://" in uri:
        raise source.invalid(source.problem(name, "CodeUri must be a folder", "Properties", "CodeUri"))
    folder = (source.folder / uri).resolve()
    if not folder.is_dir():
        raise source.invalid(source.problem(name, f"the folder {uri!r} does not exist", "Properties", "CodeUri"))
    return folder


def _layer_folders(source: TemplateSource, name: str, *, attached: list[str]) -> Iterator[Path]:
    """Yield the folders of the function's layers in order, skipping layers defined outside this template.

    `attached` has the resolved references. A layer's logical id in the translated template is its name and a hash.
    """
    shared = source.content.get("Globals", {}).get("Function", {}).get("Layers", [])
    for reference in [*shared, *source.resource(name).get("Properties", {}).get("Layers", [])]:
        layer = _layer_name(reference)
        if not any(layer and version.startswith(layer) for version in attached):
            continue
        uri = source.resource(layer).get("Properties", {}).get("ContentUri")
        if not isinstance(uri, str) or "://" in uri:
            continue
        folder = (source.folder / uri).resolve()
        if not folder.is_dir():
            raise source.invalid(source.problem(layer, f"the folder {uri!r} does not exist", "Properties", "ContentUri"))
        yield folder


def _layer_name(reference: Any) -> str:
    """Return the logical id in `Ref`, or in the first branch of `Fn::If`."""
    if not isinstance(reference, dict):
        return ""
    return _layer_name(reference["Fn::If"][1]) if "Fn::If" in reference else str(reference.get("Ref", ""))


def _search_root(source: TemplateSource, name: str, folder: Path) -> Path:
    """Return the folder that the build puts on the search path: the parent of `ParentPackages` if set, else the code folder."""
    build = source.resource(name).get("Metadata", {}).get("BuildProperties", {})
    for package in sorted(str(build.get("ParentPackages", "")).split(","), key=len, reverse=True):
        parts = tuple(part for part in package.strip().split(".") if part)
        if parts and folder.parts[-len(parts) :] == parts:
            return folder.parents[len(parts) - 1]
    return folder


def _check_handler(source: TemplateSource, name: str, handler: str, root: Path) -> None:
    module, _, function = handler.rpartition(".")
    path = PurePosixPath(*module.replace("/", ".").split("."))
    if not module or not function:
        message = f"the handler {handler!r} is not of the form module.function"
    elif any((root / file).is_file() for file in (path.with_suffix(".py"), path / "__init__.py")):
        return
    else:
        message = f"the handler {handler!r} needs {path.with_suffix('.py')}, which does not exist"
    raise source.invalid(source.problem(name, message, "Properties", "Handler"))
