"""Which tools a question lets its model call."""

from collections.abc import Sequence

from functions.chat.question import Question
from functions.chat.toolbox import Offered, Toolbox
from parley.errors import InvalidInput


def chosen(toolbox: Toolbox, question: Question, *, all_there: bool = True) -> Sequence[Offered]:
    """Return the tools that the question names, or all of them. With `all_there`, raises InvalidInput for a name that is not among them."""
    if isinstance(question.tools, bool):
        return toolbox.offered
    known = {one.spec.name: one for one in toolbox.offered}
    missing = [name for name in question.tools if name not in known]
    if missing and all_there:
        raise InvalidInput(f"not among your tools: {', '.join(missing)}", loc=("body", "tools"))
    return [known[name] for name in dict.fromkeys(question.tools) if name in known]
