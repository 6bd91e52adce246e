"""A plugin that ends the interpreter."""

import sys

sys.exit("no licence")
