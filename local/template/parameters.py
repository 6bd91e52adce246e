"""The values of a template's parameters: overrides and defaults, checked against the declarations and the template's Rules."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from local.template.errors import Problem
from local.template.resolve import Resolver
from local.template.source import Fragment, TemplateSource


def parameter_values(source: TemplateSource, overrides: Mapping[str, str], *, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the value of every parameter as text: the override, else the default.

    Raises `TemplateInvalid` for values that CloudFormation would refuse. `variables` names the environment variable that set
    a parameter's value, for the message.
    """
    declared: Fragment = source.content.get("Parameters") or {}
    problems = [Problem(name, None, "this template has no such parameter") for name in overrides if name not in declared]
    values = {}
    for name, parameter in declared.items():
        value = overrides.get(name, parameter.get("Default"))
        if value is None:
            problems.append(_problem(source, name, "the parameter needs a value because it has no Default"))
        elif fault := _fault(scalar_text(value), parameter):
            variable = (variables or {}).get(name)
            problems.append(_problem(source, name, f"{fault} (set by {variable})" if variable else fault))
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


def _fault(value: str, parameter: Fragment) -> str | None:
    """Return why CloudFormation would refuse the value, or None.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
    """
    allowed = parameter.get("AllowedValues")
    if allowed is not None and value not in [scalar_text(choice) for choice in allowed]:
        return f"{value!r} is not among the AllowedValues"
    pattern = parameter.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(str(pattern), value):
        return f"{value!r} does not match the AllowedPattern {pattern}"
    return _number_fault(value, parameter) if parameter.get("Type") == "Number" else None


def _number_fault(value: str, parameter: Fragment) -> str | None:
    least, most = parameter.get("MinValue"), parameter.get("MaxValue")
    limits = [f"{words} {limit}" for words, limit in (("at least", least), ("at most", most)) if limit is not None]
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    is_in_range = number.is_finite() and (least is None or number >= Decimal(str(least))) and (most is None or number <= Decimal(str(most)))
    return None if is_in_range else f"{value!r} must be a number" + (f", {' and '.join(limits)}" if limits else "")


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
