"""`@tool`: turns a function into a tool. The model reads the function's name, docstring and type hints."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError

from parley.tools.spec import MAX_TIMEOUT_S, Tool, ToolContext, ToolSpec, ToolUnusable


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str = ...,
    requires_approval: bool = ...,
    timeout_s: float = ...,
    scopes: Sequence[str] = ...,
    egress: bool = ...,
    writes: bool = ...,
    enabled: bool = ...,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    requires_approval: bool = False,
    timeout_s: float = MAX_TIMEOUT_S,
    scopes: Sequence[str] = (),
    egress: bool = False,
    writes: bool = False,
    enabled: bool = True,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Turn a sync or async function into a tool; use it with or without parentheses.

    Every parameter needs a type hint; describe it with `Annotated[str, Field(description=…)]`. Set `egress` if arguments
    leave the deployment and `writes` if the tool changes something. If `enabled` is false, each user must turn the tool on.
    The other arguments are the fields of `ToolSpec`. Raises ToolUnusable for a function that cannot be described.
    """

    def make(function: Callable[..., Any]) -> Tool:
        own_name = name or function.__name__
        try:
            arguments, context_parameter = _arguments(own_name, function)
            parameters = _schema(arguments)
        except PydanticUserError as exc:
            raise ToolUnusable(f"tool {own_name}: a parameter's type cannot be described: {exc.message}") from exc
        spec = ToolSpec(
            name=own_name,
            description=inspect.getdoc(function) or "",
            parameters=parameters,
            source="plugin",
            requires_approval=requires_approval,
            is_enabled=enabled,
            egress=egress,
            writes=writes,
            timeout_s=timeout_s,
            scopes=tuple(scopes),
        )
        return Tool(spec, _runner(function, arguments, context_parameter))

    return make(function) if function else make


def _arguments(name: str, function: Callable[..., Any]) -> tuple[type[BaseModel], str | None]:
    """Return the model of the arguments, and the name of the parameter that takes the `ToolContext`, if any."""
    hints, fields, context_parameter = get_type_hints(function, include_extras=True), dict[str, Any](), None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) or parameter.name not in hints:
            raise ToolUnusable(f"tool {name}: {parameter} needs a type hint; *args, **kwargs and positional-only are not supported")
        if hints[parameter.name] is ToolContext:
            context_parameter = parameter.name
        else:
            # The parameter's name is an alias, because not every parameter name is allowed as a field name.
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[f"argument_{len(fields)}"] = (hints[parameter.name], Field(default, alias=parameter.name))
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields), context_parameter


def _schema(arguments: type[BaseModel]) -> dict[str, Any]:
    schema = arguments.model_json_schema(by_alias=True)
    schema.pop("title", None)
    for field in schema.setdefault("properties", {}).values():
        field.pop("title", None)
    return schema


def _runner(
    function: Callable[..., Any], arguments: type[BaseModel], context_parameter: str | None
) -> Callable[[Mapping[str, Any], ToolContext], Any]:
    names = {field: str(info.alias) for field, info in arguments.model_fields.items()}

    def run(raw_arguments: Mapping[str, Any], context: ToolContext) -> Any:
        validated = arguments.model_validate(dict(raw_arguments))
        values = {alias: getattr(validated, field) for field, alias in names.items()}
        return function(**values, **({context_parameter: context} if context_parameter else {}))

    return run
