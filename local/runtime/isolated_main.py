"""Run Lambda's runtime on given folders and the standard library, nothing else: `python -I -S -B isolated_main.py PATHS HANDLER`.

`PATHS` comes first on the search path, in Lambda's order: task root, layers, AWS's runtime. Isolated mode keeps the
current folder, the user's packages, the environment's and every PYTHON variable out.
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
