"""A plugin that needs what is not there."""

import there_is_no_such_package  # noqa: F401
