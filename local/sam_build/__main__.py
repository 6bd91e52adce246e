"""`make build`: run `sam build`, remove the layer's packages from the functions, compile, and print a table of sizes."""

import argparse
import sys
import time
from pathlib import Path

from local.sam_build import artefacts
from local.sam_build.artefacts import BuildFailed, build_artefacts, publish_versions
from local.sam_build.tree import DEFAULT_BUILD, BuildTree


def main() -> int:
    """Build, and print the sizes of the artefacts or the error."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_build", description=__doc__)
    parser.add_argument("architecture", choices=("arm64", "x86_64", "native"))
    parser.add_argument("--template", type=Path, help="the template to build (default: the one in the current folder)")
    parser.add_argument("--build-dir", type=Path, default=DEFAULT_BUILD, help="folder for the artefacts (default: %(default)s)")
    parser.add_argument("--cache-dir", type=Path, help="cache folder of `sam build`")
    parser.add_argument("--gradual", action="store_true", help="publish versions behind an alias, for gradual deployments and SnapStart")
    options = parser.parse_args()
    try:
        build_artefacts(options.architecture, into=options.build_dir, cache=options.cache_dir, template=options.template)
        if options.gradual:
            publish_versions(BuildTree(options.build_dir).template, build_id=f"build-{time.time_ns()}")
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(artefacts.size_table(BuildTree(options.build_dir)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
