"""`make build`: `sam build`, without the layer's repeats, compiled, and weighed."""

import argparse
import sys
from pathlib import Path

from local.artefact import sizes
from local.artefact.build import BuildFailed, build
from local.artefact.layout import DEFAULT_BUILD, Tree


def main() -> int:
    """Build, and print what became of it."""
    parser = argparse.ArgumentParser(prog="python -m local.artefact", description=__doc__)
    parser.add_argument("architecture", choices=("arm64", "x86_64", "native"))
    parser.add_argument("--template", type=Path, help="the stack (default: that of the current folder)")
    parser.add_argument("--build-dir", type=Path, default=DEFAULT_BUILD, help="where the artefacts go (default: %(default)s)")
    parser.add_argument("--cache-dir", type=Path, help="where `sam build` keeps what it can use again")
    chosen = parser.parse_args()
    try:
        build(chosen.architecture, into=chosen.build_dir, cache=chosen.cache_dir, template=chosen.template)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(sizes.table(Tree(chosen.build_dir)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
