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
    """Ask a tool whose service is the test's."""
    web.put("/search", LISBON)
    web.put("/forecast", FORECAST)
    tool = weather_tool(geocoding_url=web.url("/search"), forecast_url=web.url("/forecast"))
    return lambda location: tool.run({"location": location}, web.call)


def test_it_tells_the_weather_now_and_to_come(weather):
    now, *days, source = weather("Lisbon").splitlines()

    assert now == (
        "Lisbon, Portugal, 2026-11-22T19:30: light rain, 17.4 °C (feels like 16 °C), wind 11.5 km/h, humidity 71 %, precipitation 0.2 mm."
    )
    assert days == ["2026-11-22: light rain, 12.3 to 18.1 °C, rain 80 %.", "2026-11-23: clear sky, 11 to 19 °C."]
    assert "Open-Meteo" in source


def test_it_asks_for_the_place_and_then_for_what_is_there(weather, web):
    weather("São Paulo & Co")

    assert web.asked[0].startswith("/search?name=S%C3%A3o+Paulo+%26+Co&count=1")
    assert "latitude=38.72&longitude=-9.13&current=temperature_2m" in web.asked[1].replace("%2C", ",")


def test_a_place_that_is_not_there_is_told(weather, web):
    web.put("/search", {"generationtime_ms": 1})

    with pytest.raises(ToolFailed, match="Unknown location 'Atlantis'"):
        weather("Atlantis")


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"error": true, "reason": "too many"}', b"null"])
def test_an_answer_that_is_none_is_told(weather, web, answer):
    web.put("/forecast", answer, status=429)

    with pytest.raises(ToolFailed, match="weather service"):
        weather("Lisbon")
