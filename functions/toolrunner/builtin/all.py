"""All of them."""

from functions.toolrunner.builtin.calculator import calculator
from functions.toolrunner.builtin.current_time import current_time
from functions.toolrunner.builtin.fetch_url import fetch_url
from functions.toolrunner.builtin.weather import weather_tool
from parley.tools.spec import Tool


def builtin_tools(*, geocoding_url: str, forecast_url: str) -> list[Tool]:
    """Return the built-in tools that run here; those that search run in their caller (`parley/tools/inside.py`)."""
    return [calculator, weather_tool(geocoding_url=geocoding_url, forecast_url=forecast_url), current_time, fetch_url]
