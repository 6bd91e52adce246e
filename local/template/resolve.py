"""Evaluate CloudFormation's intrinsic functions and conditions."""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from local.template.errors import Unresolvable
from local.template.pseudo import PSEUDO, QUEUES_URL
from local.template.references import attribute_value, ref_value
from local.template.source import Fragment

NO_VALUE = object()
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


class Resolver:
    """Evaluates values of a translated template for one set of parameters."""

    def __init__(self, template: Fragment, parameters: Mapping[str, Any], *, queues_url: str = QUEUES_URL) -> None:
        self._resources: Fragment = template["Resources"]
        self._conditions: Fragment = template.get("Conditions", {})
        self._mappings: Fragment = template.get("Mappings", {})
        self._parameters = parameters
        self._queues_url = queues_url
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self.holds,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::If": self._if,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": self._base64,
            "Fn::Equals": lambda pair: self.value(pair[0]) == self.value(pair[1]),
            "Fn::Not": lambda operands: not self.value(operands[0]),
            "Fn::And": lambda operands: all(self.value(operand) for operand in operands),
            "Fn::Or": lambda operands: any(self.value(operand) for operand in operands),
            "Fn::Contains": lambda pair: self.value(pair[1]) in self.value(pair[0]),
        }

    def value(self, node: Any) -> Any:
        """Return `node` with every function evaluated; items and keys with the value `AWS::NoValue` are removed."""
        if isinstance(node, list):
            items = (self.value(item) for item in node)
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and (name := next(iter(node))) in self._functions:
            return self._call(name, node[name])
        if len(node) == 1 and name.startswith("Fn::"):
            raise Unresolvable(f"the emulator does not support {name}")
        pairs = ((key, self.value(item)) for key, item in node.items())
        return {key: item for key, item in pairs if item is not NO_VALUE}

    def holds(self, condition: str) -> bool:
        """Return whether the template's condition with this name is true."""
        if condition not in self._conditions:
            raise Unresolvable(f"there is no Condition {condition!r}")
        return bool(self.value(self._conditions[condition]))

    def _call(self, name: str, argument: Any) -> Any:
        try:
            return self._functions[name](argument)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise Unresolvable(f"{name} has an invalid argument: {argument!r}") from error

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self._parameters:
            return self._parameters[name]
        if name in self._resources:
            return self.value(ref_value(name, self._resources[name], queues_url=self._queues_url))
        raise Unresolvable(f"Ref names {name!r}, which is neither a parameter nor a resource")

    def _get_att(self, target: Any) -> Any:
        name, key = target.split(".", 1) if isinstance(target, str) else (target[0], ".".join(target[1:]))
        if name not in self._resources:
            raise Unresolvable(f"Fn::GetAtt names {name!r}, which is not a resource")
        return self.value(attribute_value(name, self._resources[name], key))

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def fill(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                return str(self.value(variables[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _PLACEHOLDER.sub(fill, text)

    def _join(self, argument: Any) -> str:
        return str(argument[0]).join(str(part) for part in self.value(argument[1]))

    def _if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.value(yes if self.holds(condition) else no)

    def _select(self, argument: Any) -> Any:
        return self.value(argument[1])[int(self.value(argument[0]))]

    def _split(self, argument: Any) -> list[str]:
        return str(self.value(argument[1])).split(argument[0])

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = (self.value(part) for part in argument[:3])
        return self._mappings[name][first][second]

    def _base64(self, argument: Any) -> str:
        return base64.b64encode(str(self.value(argument)).encode()).decode()
