"""Which tools a question lets its model call."""

from collections.abc import Sequence

from functions.chat.question import Question
from functions.chat.toolbox import Offered, Toolbox
from parley.errors import InvalidInput
from parley.tools.search_tools import SEARCH_CONVERSATIONS


def chosen(toolbox: Toolbox, question: Question, *, remembers: bool, all_there: bool = True) -> Sequence[Offered]:
    """Return the tools that the question names, or all of them; where a turn does not remember, none that looks into the past.

    With `all_there`, raises InvalidInput for a name that is not among them.
    """
    offered = [one for one in toolbox.offered if remembers or one.spec.name != SEARCH_CONVERSATIONS.name]
    if isinstance(question.tools, bool):
        return offered
    known = {one.spec.name: one for one in offered}
    missing = [name for name in question.tools if name not in known]
    if missing and all_there:
        raise InvalidInput(f"not among your tools: {', '.join(missing)}", loc=("body", "tools"))
    return [known[name] for name in dict.fromkeys(question.tools) if name in known]
