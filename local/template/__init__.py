"""From `template.yaml` to the stack that AWS would make of it."""

from local.template.errors import Problem, TemplateInvalid
from local.template.load import load

__all__ = ["Problem", "TemplateInvalid", "load"]
