"""A template file: its parsed content and the line of each part."""

from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from local.template.errors import Problem, TemplateInvalid

# Part of a template: JSON whose shape has not been checked.
type Fragment = dict[str, Any]


class TemplateSource:
    """A parsed template file that can locate each of its parts."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.folder = path.resolve().parent
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.content: Fragment = yaml_parse(text)
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
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

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> TemplateInvalid:
        mark = error.problem_mark
        line = mark.line + 1 if mark else None
        return self.invalid(Problem("YAML", line, error.problem or "cannot be read"))

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
