"""The settings of logs, metrics, error reports and traces, the same in every function.

They are read when the package is imported, because the logger and the metrics belong to the process and not to a function's composition.
It is a dataclass and not a Pydantic model, whose import would double the cold start of the authorizer.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class ObservabilitySettings:
    """The stack's name and the function's, the lowest level of logs, whether metrics are written, and where traces and errors are sent.

    `traces_endpoint` is the URL of an OTLP receiver and `sentry_dsn` a Sentry project; empty means off. `traces_headers` is sent
    to the receiver, for example an API key.
    """

    stack: str = "local"
    service: str = "unknown"
    log_level: str = "INFO"
    has_metrics: bool = True
    traces_endpoint: str = ""
    traces_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sentry_dsn: str = ""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the variables that `template.yaml` sets; a process without them, such as a test, gets the defaults."""
        return cls(
            stack=environment.get("PARLEY_STACK", cls.stack),
            service=environment.get("POWERTOOLS_SERVICE_NAME", cls.service),
            log_level=environment.get("POWERTOOLS_LOG_LEVEL", cls.log_level),
            has_metrics=environment.get("PARLEY_METRICS", "on") == "on",
            traces_endpoint=environment.get("PARLEY_TRACES_ENDPOINT", ""),
            traces_headers=_parse_headers(environment.get("PARLEY_TRACES_HEADERS", "")),
            sentry_dsn=environment.get("PARLEY_SENTRY_DSN", ""),
        )


def _parse_headers(text: str) -> dict[str, str]:
    """Parse `name=value,name=value`, the format of OpenTelemetry's own variable."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip(): value.strip() for name, _, value in pairs}


settings = ObservabilitySettings.read()
