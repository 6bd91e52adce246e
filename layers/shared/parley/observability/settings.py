"""The settings of logs, metrics, error reports and traces, the same in every function.

They are read when the package is imported, because the logger and the metrics belong to the process and not to a function's composition.
It is a dataclass and not a Pydantic model, whose import would double the cold start of the authorizer.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class ObservabilitySettings:
    """The stack's name and the function's, and whether metrics are written."""

    stack: str = "local"
    service: str = "unknown"
    has_metrics: bool = True

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the variables that `template.yaml` sets; a process without them, such as a test, gets the defaults."""
        return cls(
            stack=environment.get("PARLEY_STACK", cls.stack),
            service=environment.get("POWERTOOLS_SERVICE_NAME", cls.service),
            has_metrics=environment.get("PARLEY_METRICS", "on") == "on",
        )


settings = ObservabilitySettings.read()
