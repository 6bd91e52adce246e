import importlib.resources
import zoneinfo

import pytest
import time_machine

from functions.toolrunner.builtin.current_time import current_time
from parley.tools.spec import ToolFailed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "Sunday, 22 November 2026, 23:30:00 in UTC (2026-11-22T23:30:00+00:00)"),
        ({"timezone": "Asia/Tokyo"}, "Monday, 23 November 2026, 08:30:00 in Asia/Tokyo (2026-11-23T08:30:00+09:00)"),
    ],
)
@time_machine.travel("2026-11-22T23:30:00Z", tick=False)
def test_the_time_in_a_zone_is_returned(arguments, text):
    assert current_time.run(arguments, None) == text


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "\0", "/etc/passwd"])
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(ToolFailed, match="Unknown time zone"):
        current_time.run({"timezone": name}, None)


def test_the_zone_data_is_installed_with_the_function():
    assert (importlib.resources.files("tzdata") / "zoneinfo" / "Europe" / "Lisbon").is_file()
    assert zoneinfo.ZoneInfo("Europe/Lisbon")
