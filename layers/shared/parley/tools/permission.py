"""When a tool's call waits for its user's word."""

from parley.tools.spec import ToolSpec


def needs_approval(spec: ToolSpec, *, wish: bool | None, is_tainted: bool) -> bool:
    """Say whether a call of this tool must be approved before it runs.

    `wish` is the user's own setting, None where there is none: it may ask for more than the tool does, never for less.
    `is_tainted` says that text which nobody vouches for (a tool's result, a document, a page) is in the model's context:
    whoever wrote it may be the one who calls, so what sends data out or changes something waits, whatever the settings.
    """
    return spec.requires_approval or bool(wish) or (is_tainted and (spec.egress or spec.writes))
