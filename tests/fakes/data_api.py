"""RDS's Data API in front of a real PostgreSQL, as far as Parley calls it: ExecuteStatement without parameters."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import psycopg

from tests.fakes.http_server import serving

CLUSTER = "arn:aws:rds:eu-west-1:111122223333:cluster:parley"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:rds!cluster-1-AbCdEf"


@dataclass
class DataApiServer:
    """The served database. The first `resuming` calls find it paused."""

    address: dict[str, Any]
    url: str = ""
    resuming: int = 0
    secret: str = SECRET

    def execute(self, request: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
        """Return the status, the type of the error or an empty string, and the body."""
        # https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_ExecuteStatement.html
        if (request["resourceArn"], request["secretArn"]) != (CLUSTER, self.secret):
            return 400, "BadRequestException", {"message": f"Error fetching secret {request['secretArn']}"}
        if self.resuming > 0:
            self.resuming -= 1
            return 400, "DatabaseResumingException", {"message": "The Aurora DB instance is resuming after being auto-paused."}
        with psycopg.connect(**self.address, dbname=request["database"], autocommit=True) as connection:
            try:
                connection.execute(request["sql"])
            except psycopg.Error as error:
                return 400, "DatabaseErrorException", {"message": f"ERROR: {error.diag.message_primary}; SQLState: {error.sqlstate}"}
        return 200, "", {"numberOfRecordsUpdated": 0}


@contextmanager
def serving_data_api(address: dict[str, Any]) -> Iterator[DataApiServer]:
    """Serve the database at `address` (host, port, user and password) until the end of the block."""
    served = DataApiServer(address)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, error, answer = served.execute(request) if self.path == "/Execute" else (404, "NotFoundException", {})
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        served.url = url
        yield served
