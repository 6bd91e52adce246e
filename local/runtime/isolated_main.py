"""Run Lambda's runtime with only the given folders and the standard library on the search path.

Usage: `python -I -S -B isolated_main.py PATHS HANDLER`. `PATHS` are in Lambda's order: task root, layers, AWS's runtime.
Isolated mode excludes the current folder, the user's and the virtual environment's packages, and every PYTHON variable.
"""

import os
import runpy
import sys


def main(paths: str, handler: str) -> None:
    sys.path[:0] = paths.split(os.pathsep)
    sys.argv = ["awslambdaric", handler]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
