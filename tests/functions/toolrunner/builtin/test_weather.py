import pytest

from functions.toolrunner.builtin.weather import weather_tool
from parley.tools.spec import ToolFailed

LISBON = {"results": [{"name": "Lisbon", "latitude": 38.72, "longitude": -9.13, "country": "Portugal", "admin1": "Lisbon"}]}
FORECAST = {
    "current": {
        "time": "2026-11-22T19:30",
        "temperature_2m": 17.4,
        "apparent_temperature": 16.0,
        "relative_humidity_2m": 71,
        "precipitation": 0.2,
        "weather_code": 61,
        "wind_speed_10m": 11.5,
    },
    "daily": {
        "time": ["2026-11-22", "2026-11-23"],
        "weather_code": [61, 0],
        "temperature_2m_max": [18.1, 19],
        "temperature_2m_min": [12.3, 11],
        "precipitation_probability_max": [80, None],
    },
}


@pytest.fixture
def weather(web):
    """Return the weather tool with the test server as its service."""
    web.put("/search", LISBON)
    web.put("/forecast", FORECAST)
    tool = weather_tool(geocoding_url=web.url("/search"), forecast_url=web.url("/forecast"))
    return lambda location: tool.run({"location": location}, web.call)


def test_current_weather_and_forecast_are_returned(weather):
    now, *days, source = weather("Lisbon").splitlines()

    assert now == (
        "Lisbon, Portugal, 2026-11-22T19:30: light rain, 17.4 °C (feels like 16 °C), wind 11.5 km/h, humidity 71 %, precipitation 0.2 mm."
    )
    assert days == ["2026-11-22: light rain, 12.3 to 18.1 °C, rain 80 %.", "2026-11-23: clear sky, 11 to 19 °C."]
    assert "Open-Meteo" in source


def test_the_location_is_geocoded_before_the_forecast_is_fetched(weather, web):
    weather("São Paulo & Co")

    assert web.requests[0].startswith("/search?name=S%C3%A3o+Paulo+%26+Co&count=1")
    assert "latitude=38.72&longitude=-9.13&current=temperature_2m" in web.requests[1].replace("%2C", ",")


def test_an_unknown_location_is_reported(weather, web):
    web.put("/search", {"generationtime_ms": 1})

    with pytest.raises(ToolFailed, match="Unknown location 'Atlantis'"):
        weather("Atlantis")


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"error": true, "reason": "too many"}', b"null"])
def test_an_unexpected_response_is_reported(weather, web, answer):
    web.put("/forecast", answer, status=429)

    with pytest.raises(ToolFailed, match="weather service"):
        weather("Lisbon")
