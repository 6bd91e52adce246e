"""From an `AWS::Lambda::Function` to a function whose code was found on disk."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from local.template.errors import Unresolvable
from local.template.parameters import scalar_text
from local.template.source import Fragment, TemplateSource
from local.template.stack import Function

FUNCTION_KIND = "AWS::Lambda::Function"


def read_function(source: TemplateSource, name: str, properties: Fragment) -> Function:
    """Return the function; raises `TemplateInvalid` if its code or its handler is not there."""
    if not str(properties.get("Runtime", "")).startswith("python"):
        raise Unresolvable("only functions of a Python runtime run here")
    folder = _code_folder(source, name)
    root = _search_root(source, name, folder)
    handler = str(properties.get("Handler", ""))
    _check_handler(source, name, handler, root)
    return Function(
        name=name,
        handler=handler,
        root=root,
        folder=folder,
        layers=tuple(_layer_folders(source, name)),
        environment={key: scalar_text(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()},
        timeout_s=float(properties.get("Timeout", 3)),
        memory_mb=int(properties.get("MemorySize", 128)),
        log_format="JSON" if properties.get("LoggingConfig", {}).get("LogFormat") == "JSON" else "Text",
        concurrency=properties.get("ReservedConcurrentExecutions"),
        is_isolated=source.resource(name).get("Metadata", {}).get("Isolated") is True,
    )


def _code_folder(source: TemplateSource, name: str) -> Path:
    written = source.resource(name).get("Properties", {}).get("CodeUri")
    if written is None:
        written = source.content.get("Globals", {}).get("Function", {}).get("CodeUri")
    if not isinstance(written, str) or "://" in written:
        raise source.invalid(source.problem(name, "needs a CodeUri that is a folder", "Properties", "CodeUri"))
    folder = (source.folder / written).resolve()
    if not folder.is_dir():
        raise source.invalid(source.problem(name, f"the folder {written!r} does not exist", "Properties", "CodeUri"))
    return folder


def _layer_folders(source: TemplateSource, name: str) -> Iterator[Path]:
    """Yield the folders of the function's layers that this template makes, in their order."""
    shared = source.content.get("Globals", {}).get("Function", {}).get("Layers", [])
    for listed in [*shared, *source.resource(name).get("Properties", {}).get("Layers", [])]:
        layer = listed.get("Ref", "") if isinstance(listed, dict) else ""
        written = source.resource(layer).get("Properties", {}).get("ContentUri")
        if not isinstance(written, str) or "://" in written:
            continue
        folder = (source.folder / written).resolve()
        if not folder.is_dir():
            raise source.invalid(source.problem(layer, f"the folder {written!r} does not exist", "Properties", "ContentUri"))
        yield folder


def _search_root(source: TemplateSource, name: str, folder: Path) -> Path:
    """Return the folder that the build would put on the search path: above the parent packages, if it is told any."""
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
        message = f"the handler {handler!r} is not a module and a function"
    elif any((root / found).is_file() for found in (path.with_suffix(".py"), path / "__init__.py")):
        return
    else:
        message = f"the handler {handler!r} needs {path.with_suffix('.py')}, and it is not there"
    raise source.invalid(source.problem(name, message, "Properties", "Handler"))
