"""`parley.cold_start` for an HTTP function: also imports FastAPI, without building its models of an OpenAPI document.

No function serves such a document, and building them takes a fifth of FastAPI's import. Pydantic builds a deferred model when it is
first used.
"""

from parley.cold_start import finish  # isort: split

import importlib

from pydantic import BaseModel

__all__ = ["finish"]


def _import_fastapi() -> None:
    # Models inherit this setting from their base class, and only FastAPI's own models are created here.
    BaseModel.model_config["defer_build"] = True
    try:
        importlib.import_module("fastapi")
    finally:
        del BaseModel.model_config["defer_build"]


_import_fastapi()
