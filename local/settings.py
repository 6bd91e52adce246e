"""The emulator's settings, chosen by the options of `parley up`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.request_origin import page_origins

DEFAULT_PORT = 3000
DEFAULT_DATA = ".parley"
DEFAULT_WORKERS = 10
DEFAULT_TEMPLATE = "template.yaml"


@dataclass(frozen=True, kw_only=True)
class EmulatorSettings:
    """The options of `parley up`."""

    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    aws_port: int | None = None
    database_url: str = field(default="", repr=False)
    data: Path = Path(DEFAULT_DATA)
    template: Path = Path(DEFAULT_TEMPLATE)
    models: Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    wants_pgbouncer: bool = True
    workers: int = DEFAULT_WORKERS
    is_verbose: bool = False
    built: Path | None = None
    wants_warm: bool = True
    wants_watch: bool = True
    wants_stand_in: bool = False

    @property
    def is_watching(self) -> bool:
        """Whether saved changes are reloaded. With `built` they are not: edits do not change a finished build."""
        return self.wants_watch and self.built is None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def upload_origins(self) -> frozenset[str]:
        """The origins whose pages may upload to buckets: the stack's own, and those of the parameter AllowedOrigin unless it is `*`."""
        return page_origins(self.port) | (set(self.parameters.get("AllowedOrigin", "*").split(",")) - {"*"})
