"""A fake Open-Meteo server on loopback with one town and its weather."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.vendor import resets

PLACES = {"results": [{"name": "Lisbon", "latitude": 38.72, "longitude": -9.13, "country": "Portugal"}]}
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
        "time": ["2026-11-22"],
        "weather_code": [61],
        "temperature_2m_max": [18.1],
        "temperature_2m_min": [12.3],
        "precipitation_probability_max": [80],
    },
}


@dataclass
class OpenMeteo:
    """A running fake. While `is_down`, it resets every connection."""

    port: int
    is_down: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Options of `parley up` that point the weather tool at this server."""
        host = f"127.0.0.1:{self.port}"
        urls = {"WeatherGeocodingUrl": f"http://{host}/search", "WeatherForecastUrl": f"http://{host}/forecast"}
        return tuple(word for name, value in {"ToolAllowedHosts": host, **urls}.items() for word in ("--parameter", f"{name}={value}"))


@contextmanager
def running_open_meteo() -> Iterator[OpenMeteo]:
    """Run the fake server until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if open_meteo.is_down:
                resets(self)
                return
            body = json.dumps(PLACES if self.path.startswith("/search") else FORECAST).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore the resets of `is_down`."""

    server = Server(("127.0.0.1", 0), Handler)
    open_meteo = OpenMeteo(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield open_meteo
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
