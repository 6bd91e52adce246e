"""Mutations of Python by Cosmic Ray's operators, which run in an environment of their own (`.tools/mutation`).

`python python_operators.py places FILE…` writes a JSON line for each place that an operator can change. `… sources` reads some of
these lines, and writes them again with the changed source.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def known_operators() -> dict[str, Any]:
    """Return the operators by name. Cosmic Ray does not have all of the pairs."""
    found = {}
    for name in OPERATORS:
        try:
            found[name] = get_operator(f"core/{name}")()
        except KeyError:
            continue
    return found


def places(path: str, operators: dict[str, Any]) -> Iterator[dict[str, str | int]]:
    """Yield the places of a file that the operators can change."""
    nodes = list(ast_nodes(get_ast(Path(path).read_text())))
    for name, operator in operators.items():
        positions = [position for node in nodes for position in operator.mutation_positions(node)]
        # Cosmic Ray has two changes for a number, one up and one down; of these, only the first is taken.
        for occurrence in range(0, len(positions), 2 if name == "NumberReplacer" else 1):
            yield {"file": path, "operator": name, "occurrence": occurrence, "line": positions[occurrence][0][0]}


def main(command: str, files: list[str]) -> None:
    """Write the places of the files, or the sources of the places that the standard input names."""
    operators = known_operators()
    if command == "places":
        for file in files:
            for place in places(file, operators):
                print(json.dumps(place))
        return
    for line in sys.stdin:
        place = json.loads(line)
        source = mutate_code(Path(place["file"]).read_text(), operators[place["operator"]], place["occurrence"])
        print(json.dumps(place | {"source": source or ""}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
