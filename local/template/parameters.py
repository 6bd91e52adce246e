"""The values of a template's parameters."""

from collections.abc import Mapping
from typing import Any

from local.template.errors import Problem
from local.template.source import Fragment, TemplateSource


def parameter_values(source: TemplateSource, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the value of every parameter as text: the override, else the default."""
    declared: Fragment = source.content.get("Parameters") or {}
    problems = [Problem(name, None, "is not a parameter of this template") for name in overrides if name not in declared]
    found = {}
    for name, parameter in declared.items():
        value = overrides.get(name, parameter.get("Default"))
        if value is None:
            problems.append(_problem(source, name, "needs a value: it has no Default"))
        elif not _is_allowed(value, parameter):
            problems.append(_problem(source, name, f"{value!r} is not one of its AllowedValues"))
        else:
            found[name] = scalar_text(value)
    if problems:
        raise source.invalid(*problems)
    return found


def scalar_text(value: Any) -> str:
    """Return a scalar as CloudFormation passes it on."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parameter_ref(declared: Fragment, name: str, value: str) -> str | list[str]:
    """Return what `Ref` gives for a parameter: list types give lists."""
    kind = str(declared[name].get("Type", "String"))
    return value.split(",") if kind == "CommaDelimitedList" or kind.startswith("List<") else value


def _is_allowed(value: Any, parameter: Fragment) -> bool:
    allowed = parameter.get("AllowedValues")
    return allowed is None or scalar_text(value) in [scalar_text(one) for one in allowed]


def _problem(source: TemplateSource, name: str, message: str) -> Problem:
    return Problem(name, source.line("Parameters", name), message)
