"""`make build`: `sam build`, without the layer's packages in the functions, compiled, with a table of sizes."""

import argparse
import sys
from pathlib import Path

from local.sam_build import artefacts
from local.sam_build.artefacts import BuildFailed, build_artefacts
from local.sam_build.tree import DEFAULT_BUILD, BuildTree


def main() -> int:
    """Build, and print what became of it."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_build", description=__doc__)
    parser.add_argument("architecture", choices=("arm64", "x86_64", "native"))
    parser.add_argument("--template", type=Path, help="the stack (default: that of the current folder)")
    parser.add_argument("--build-dir", type=Path, default=DEFAULT_BUILD, help="where the artefacts go (default: %(default)s)")
    parser.add_argument("--cache-dir", type=Path, help="where `sam build` keeps what it can use again")
    chosen = parser.parse_args()
    try:
        build_artefacts(chosen.architecture, into=chosen.build_dir, cache=chosen.cache_dir, template=chosen.template)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(artefacts.size_table(BuildTree(chosen.build_dir)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
