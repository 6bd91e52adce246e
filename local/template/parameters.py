"""The values of a template's parameters: overrides and defaults, checked against the declarations and the template's Rules."""

from collections.abc import Iterator, Mapping
from typing import Any

from local.template.errors import Problem
from local.template.resolve import Resolver
from local.template.source import Fragment, TemplateSource


def parameter_values(source: TemplateSource, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the value of every parameter as text: the override, else the default."""
    declared: Fragment = source.content.get("Parameters") or {}
    problems = [Problem(name, None, "this template has no such parameter") for name in overrides if name not in declared]
    values = {}
    for name, parameter in declared.items():
        value = overrides.get(name, parameter.get("Default"))
        if value is None:
            problems.append(_problem(source, name, "the parameter needs a value because it has no Default"))
        elif not _is_allowed(value, parameter):
            problems.append(_problem(source, name, f"{value!r} is not among the AllowedValues"))
        else:
            values[name] = scalar_text(value)
    if problems:
        raise source.invalid(*problems)
    return values


def broken_rules(source: TemplateSource, values: Mapping[str, str]) -> list[Problem]:
    """Return a problem with the AssertDescription of each assertion that these parameter values break."""
    resolver = Resolver({"Resources": {}}, values)
    return [
        Problem(name, source.line("Rules", name), sentence)
        for name, rule in (source.content.get("Rules") or {}).items()
        for sentence in _broken_assertions(resolver, rule)
    ]


def scalar_text(value: Any) -> str:
    """Return a scalar as text; CloudFormation writes booleans as `true` and `false`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parameter_ref(declared: Fragment, name: str, value: str) -> str | list[str]:
    """Return the value of `Ref` to a parameter: a list for list types, else text."""
    kind = str(declared[name].get("Type", "String"))
    return value.split(",") if kind == "CommaDelimitedList" or kind.startswith("List<") else value


def _is_allowed(value: Any, parameter: Fragment) -> bool:
    allowed = parameter.get("AllowedValues")
    return allowed is None or scalar_text(value) in [scalar_text(choice) for choice in allowed]


def _problem(source: TemplateSource, name: str, message: str) -> Problem:
    return Problem(name, source.line("Parameters", name), message)


def _broken_assertions(resolver: Resolver, rule: Fragment) -> Iterator[str]:
    if "RuleCondition" in rule and not _holds(resolver, rule["RuleCondition"]):
        return
    for assertion in rule["Assertions"]:
        if not _holds(resolver, assertion["Assert"]):
            yield str(assertion.get("AssertDescription", "the parameters break this rule"))


def _holds(resolver: Resolver, condition: Any) -> bool:
    return bool(resolver.value(condition))
