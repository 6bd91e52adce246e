import pytest

from functions.toolrunner.builtin.weather import weather_tool
from parley.tools.arguments import argument_errors
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
    assert "forecast_days=3" in web.requests[1]


# The codes of table 4677 of the World Meteorological Organization that Open-Meteo uses, and one that it does not use.
SKIES = {
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "rime fog",
    51: "light drizzle",
    53: "drizzle",
    55: "dense drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light showers",
    81: "showers",
    82: "violent showers",
    85: "light snow showers",
    86: "snow showers",
    95: "thunderstorm",
    96: "thunderstorm with light hail",
    99: "thunderstorm with hail",
    7: "weather code 7",
}


def test_each_code_of_a_forecast_has_its_words(weather, web):
    columns = ("temperature_2m_max", "temperature_2m_min", "precipitation_probability_max")
    days = {"time": [str(code) for code in SKIES], "weather_code": list(SKIES)} | {name: [1] * len(SKIES) for name in columns}
    web.put("/forecast", FORECAST | {"daily": days})
    _, *lines, _ = weather("Lisbon").splitlines()

    assert [line.partition(",")[0] for line in lines] == [f"{code}: {sky}" for code, sky in SKIES.items()]


def test_a_forecast_that_lacks_values_of_a_day_has_the_days_before(weather, web):
    web.put("/forecast", FORECAST | {"daily": FORECAST["daily"] | {"precipitation_probability_max": [80]}})

    assert weather("Lisbon").splitlines()[1:-1] == ["2026-11-22: light rain, 12.3 to 18.1 °C, rain 80 %."]


def test_a_location_has_one_to_two_hundred_letters_and_leaves_the_deployment():
    spec = weather_tool(geocoding_url="", forecast_url="").spec

    assert [argument_errors(spec.parameters, {"location": "x" * size}) == [] for size in (0, 1, 200, 201)] == [False, True, True, False]
    assert spec.egress


def test_an_unknown_location_is_reported(weather, web):
    web.put("/search", {"generationtime_ms": 1})

    with pytest.raises(ToolFailed, match="Unknown location 'Atlantis'"):
        weather("Atlantis")


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"error": true, "reason": "too many"}', b"null"])
def test_an_unexpected_response_is_reported(weather, web, answer):
    web.put("/forecast", answer, status=429)

    with pytest.raises(ToolFailed, match="weather service"):
        weather("Lisbon")
