"""A plugin that imports a missing package."""

import there_is_no_such_package  # noqa: F401
