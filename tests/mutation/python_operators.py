"""Mutations of Python by Cosmic Ray's operators: `python python_operators.py FILE…` writes one JSON line for each.

Runs in an environment of its own (`.tools/mutation`), because Cosmic Ray's dependencies are not those of Parley.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

# Each place is changed in the ways in which a person errs: a bound by one, a condition into its opposite, a flag.
PAIRS = {
    "ReplaceComparisonOperator": ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "In_NotIn"),
    "ReplaceBinaryOperator": ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul"),
}
SINGLE = ("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "NumberReplacer")
LOOPS = ("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop")
OPERATORS = (*SINGLE, *LOOPS, *(f"{kind}_{pair}" for kind, pairs in PAIRS.items() for pair in pairs))


def mutations(path: Path) -> Iterator[dict[str, str | int]]:
    """Yield the changed sources of a file."""
    source = path.read_text()
    for name in OPERATORS:
        try:
            operator = get_operator(f"core/{name}")()
        except KeyError:  # Cosmic Ray has no such pair
            continue
        places = [position for node in ast_nodes(get_ast(source)) for position in operator.mutation_positions(node)]
        for occurrence, place in enumerate(places):
            changed = mutate_code(source, operator, occurrence)
            if changed and changed != source:
                yield {"file": str(path), "operator": name, "line": place[0][0], "source": changed}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        for mutation in mutations(Path(argument)):
            print(json.dumps(mutation))
