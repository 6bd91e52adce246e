"""Current weather and forecasts from Open-Meteo, which needs no key for non-commercial use (https://open-meteo.com/en/terms)."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from parley.tools.decorator import tool
from parley.tools.guarded_http.errors import FetchFailed
from parley.tools.spec import Tool, ToolContext, ToolFailed

# WMO weather interpretation codes, as listed at https://open-meteo.com/en/docs
WMO_CODES = {
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
}
_CURRENT_FIELDS = "temperature_2m,apparent_temperature,relative_humidity_2m,precipitation,weather_code,wind_speed_10m"
_DAILY_FIELDS = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_probability_max"
_TIMEOUT_S = 4.5


class _Location(BaseModel):
    name: str
    latitude: float
    longitude: float
    country: str = ""
    admin1: str = ""


class _Locations(BaseModel):
    results: list[_Location] = []


class _CurrentWeather(BaseModel):
    time: str
    temperature_2m: float
    apparent_temperature: float
    relative_humidity_2m: float
    precipitation: float
    weather_code: int
    wind_speed_10m: float


class _DailyForecast(BaseModel):
    time: list[str]
    weather_code: list[int]
    temperature_2m_max: list[float]
    temperature_2m_min: list[float]
    precipitation_probability_max: list[float | None]


class _Forecast(BaseModel):
    current: _CurrentWeather
    daily: _DailyForecast


def weather_tool(*, geocoding_url: str, forecast_url: str) -> Tool:
    """Return the tool `weather`, which calls Open-Meteo's geocoding and forecast APIs at these URLs."""

    @tool(egress=True)
    def weather(
        location: Annotated[str, Field(description="A town or city, such as Lisbon", min_length=1, max_length=200)], context: ToolContext
    ) -> str:
        """Return the current weather at a location and the forecast for three days, in °C, mm and km/h."""
        place = _geocode(context, geocoding_url, location)
        coordinates: dict[str, str | int | float] = {"latitude": place.latitude, "longitude": place.longitude}
        query = coordinates | {"current": _CURRENT_FIELDS, "daily": _DAILY_FIELDS, "timezone": "auto", "forecast_days": 3}
        return _format_weather(place, _fetch(context, forecast_url, query, _Forecast))

    return weather


def _geocode(context: ToolContext, url: str, location: str) -> _Location:
    places = _fetch(context, url, {"name": location, "count": 1, "language": "en", "format": "json"}, _Locations).results
    if not places:
        raise ToolFailed(f"Unknown location {location!r}. Name a town or city.")
    return places[0]


def _fetch[T: BaseModel](context: ToolContext, url: str, params: dict[str, str | int | float], model: type[T]) -> T:
    try:
        response = context.http.get(url, params=params, timeout_s=_TIMEOUT_S)
        body: Any = response.json()
    except FetchFailed as exc:
        raise ToolFailed(f"The weather service cannot be reached. {exc.public_message}") from exc
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        raise ToolFailed(f"The weather service sent an unexpected response (status {response.status}).") from exc


def _format_weather(place: _Location, forecast: _Forecast) -> str:
    now, days = forecast.current, forecast.daily
    names = ", ".join(dict.fromkeys(filter(None, (place.name, place.admin1, place.country))))
    lines = [
        f"{names}, {now.time}: {_describe_sky(now.weather_code)}, {now.temperature_2m:g} °C (feels like {now.apparent_temperature:g} °C), "
        f"wind {now.wind_speed_10m:g} km/h, humidity {now.relative_humidity_2m:g} %, precipitation {now.precipitation:g} mm."
    ]
    columns = (days.time, days.weather_code, days.temperature_2m_min, days.temperature_2m_max, days.precipitation_probability_max)
    for day, code, low, high, chance in zip(*columns, strict=False):
        lines.append(f"{day}: {_describe_sky(code)}, {low:g} to {high:g} °C" + (f", rain {chance:g} %." if chance is not None else "."))
    return "\n".join([*lines, "Weather data by Open-Meteo.com (CC BY 4.0)."])


def _describe_sky(code: int) -> str:
    return WMO_CODES.get(code, f"weather code {code}")
