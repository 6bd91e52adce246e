"""A template file: its parsed content and the line of each part."""

from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

from local.template.errors import Problem, TemplateInvalid

# Part of a template: JSON whose shape has not been checked.
type Fragment = dict[str, Any]


# libyaml reads a template in a sixth of the time. A few systems have no wheel with it.
class _TemplateLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader that understands the short forms of CloudFormation's functions, such as `!Ref`."""


_TemplateLoader.add_multi_constructor("!", intrinsics_multi_constructor)


class TemplateSource:
    """A parsed template file that can locate each of its parts."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.folder = path.resolve().parent
        try:
            self._root = yaml.compose(text, Loader=_TemplateLoader)
            self.content: Fragment = _TemplateLoader(text).get_single_data()
        except yaml.MarkedYAMLError:
            raise self._syntax_error(text) from None
        self._check_sections()

    def resource(self, name: str) -> Fragment:
        """Return a resource as written in the file, or {} for a resource that the translator added."""
        resource: Fragment = self.content["Resources"].get(name, {})
        return resource

    def line(self, *path: str | int) -> int | None:
        """Return the line of `path`, or of its deepest part that is in the file."""
        node: yaml.Node | None = self._root
        line = None
        for step in path:
            node, node_line = _child_node(node, step)
            if node is None:
                break
            line = node_line
        return line

    def problem(self, resource: str, message: str, *path: str | int) -> Problem:
        """Return a problem of `resource`, located at `path` within it."""
        return Problem(resource, self.line("Resources", resource, *path), message)

    def invalid(self, *problems: Problem) -> TemplateInvalid:
        return TemplateInvalid(self.path.name, problems)

    def _syntax_error(self, text: str) -> TemplateInvalid:
        """Return the error of Python's own reader, which is clearer than libyaml's."""
        line, reason = None, "cannot be read"
        try:
            yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line, reason = error.problem_mark.line + 1 if error.problem_mark else None, error.problem or reason
        return self.invalid(Problem("YAML", line, reason))

    def _check_sections(self) -> None:
        content: object = self.content
        if not isinstance(content, dict) or not isinstance(content.get("Resources"), dict):
            raise self.invalid(Problem("Resources", None, "the template has no Resources section"))
        for name, resource in content["Resources"].items():
            if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
                raise self.invalid(self.problem(name, "the resource has no Type"))


def read_source(path: Path) -> TemplateSource:
    """Read the template at `path`. Raises `TemplateInvalid` if the file is unreadable or malformed."""
    try:
        return TemplateSource(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read the file: {error.strerror}"
        raise TemplateInvalid(path.name, [Problem("template", None, message)]) from error
    except UnicodeDecodeError as error:
        raise TemplateInvalid(path.name, [Problem("template", None, "the file is not UTF-8 text")]) from error


def _child_node(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    return None, 0
