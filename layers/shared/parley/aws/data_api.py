"""RDS's Data API: runs SQL on an Aurora cluster over HTTPS, for a caller without a route to the database's network."""

import time
from typing import Any

from parley.aws.client import aws_client, translated_errors
from parley.errors import Unavailable

# A paused Aurora takes 15 s to resume, and 30 s after a day.
RESUME_TIMEOUT_S = 90.0
_RETRY_PAUSE_S = 3.0
_READ_TIMEOUT_S = 50  # the Data API ends a statement after 45 s


class DataApi:
    """A database of the cluster `cluster_arn`, as the user whose password the secret `secret_arn` contains."""

    def __init__(self, cluster_arn: str, secret_arn: str, *, database: str) -> None:
        self._address = {"resourceArn": cluster_arn, "secretArn": secret_arn, "database": database}
        self._client: Any = aws_client("rds-data", read_timeout_s=_READ_TIMEOUT_S)

    def run(self, statement: str) -> None:
        """Run one statement in its own transaction; wait while a paused database resumes. Raises Unavailable with the reason."""
        give_up_s = time.monotonic() + RESUME_TIMEOUT_S
        while True:
            with translated_errors(_error):
                try:
                    self._client.execute_statement(**self._address, sql=statement)
                    return
                except self._client.exceptions.DatabaseResumingException:
                    if time.monotonic() > give_up_s:
                        raise
            time.sleep(_RETRY_PAUSE_S)


def _error(code: str, error: Exception) -> Unavailable:
    # The message names the SQL state and the object, never a value: the statements of this module's callers have none.
    return Unavailable(f"Data API: {code or type(error).__name__}: {error}")
