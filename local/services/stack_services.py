"""PostgreSQL, PgBouncer, the queues and the AWS stand-in together: started concurrently, stopped in order."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from local.data_dir import DataDir, write_private
from local.queues.server import QueueServer
from local.queues.service import QueueService
from local.server import HOST
from local.services import database, pgbouncer
from local.services.aws_signature import AwsCredentials
from local.services.moto import AwsClient, MotoServer
from local.services.postgres import SUPERUSER, ExternalPostgres, Postgres


class StackServices:
    """PostgreSQL with the product's database, PgBouncer if wanted and installed, the queues, and the AWS stand-in."""

    def __init__(
        self,
        folder: DataDir,
        *,
        wants_pgbouncer: bool,
        host: str = HOST,
        aws_port: int | None = None,
        database_url: str = "",
        upload_origins: Collection[str],
        report: Callable[[str], None],
        step: Callable[[str, str, float], None],
    ) -> None:
        self._folder = folder
        self._step = step
        self._passwords = folder.secrets([SUPERUSER, *database.ROLES])
        self._postgres: Postgres | ExternalPostgres
        if database_url:
            self._postgres = ExternalPostgres(database_url)
            self._passwords |= {self._postgres.superuser: self._postgres.password}
        else:
            self._postgres = Postgres(folder, password=self._passwords[SUPERUSER], report=report)
        self.aws_credentials = AwsCredentials.create()
        self._queue_server = QueueServer(self.aws_credentials)
        self.queues = QueueService(folder.queues)
        self._moto = MotoServer(
            folder,
            credentials=self.aws_credentials,
            upload_origins=upload_origins,
            queues_url=self._queue_server.url,
            report=report,
            host=host,
            port=aws_port,
        )
        self.aws = AwsClient(self._moto.url, self.aws_credentials)
        program = pgbouncer.pgbouncer_program() if wants_pgbouncer else None
        self._pgbouncer = (
            pgbouncer.PgBouncer(
                program,
                folder,
                upstream=self._postgres.port,
                upstream_host=self._postgres.host,
                passwords=self._passwords,
                report=report,
            )
            if program
            else None
        )

    @property
    def parameters(self) -> dict[str, str]:
        """The template parameters that describe the addresses of the database and of the upload forms."""
        return {
            "DatabaseMode": "Direct",
            "DatabaseHost": self._database_host,
            "DatabasePort": str(self._pgbouncer.port if self._pgbouncer else self._postgres.port),
            "DatabaseName": database.DATABASE_NAME,
            "DatabaseAuth": "libpq",
            "DatabaseTls": "disable",
            # PgBouncer tracks prepared statements only since 1.21, and only if it is configured to; RDS Proxy never does.
            "PageUploads": self._moto.url,
            "DatabasePreparedStatements": "no" if self._pgbouncer else "yes",
        }

    @property
    def _database_host(self) -> str:
        return HOST if self._pgbouncer else self._postgres.host

    @property
    def superuser_login(self) -> tuple[int, str]:
        """The port of PostgreSQL itself, and the password of its superuser."""
        return self._postgres.port, self._passwords[SUPERUSER]

    @property
    def extra_environment(self) -> Mapping[str, str]:
        """The environment variables that direct libpq to the passwords and boto3 to the AWS stand-in."""
        endpoints = {"AWS_ENDPOINT_URL": self._moto.url, "AWS_ENDPOINT_URL_SQS": self.queues_url}
        return {"PGPASSFILE": str(self._folder.pgpass), **endpoints, **self.aws_credentials.environment}

    @property
    def queues_url(self) -> str:
        return self._queue_server.url

    async def start(self) -> None:
        """Start all services. Raises `ServiceFailed`, in an exception group, if a service does not start."""
        ports = [self._postgres.port, *([self._pgbouncer.port] if self._pgbouncer else [])]
        write_private(self._folder.pgpass, database.pgpass(ports, self._passwords, host=self._database_host))
        write_private(self._folder.aws_credentials, self.aws_credentials.shared_file)
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self._timed("database", self._start_database(), self._database_detail()))
            starting.create_task(self.aws.open())
            starting.create_task(self._queue_server.start(self.queues))
            starting.create_task(self._timed("aws", self._moto.start(), f"moto on port {self._moto.port}"))
            if self._pgbouncer:
                starting.create_task(self._pgbouncer.start())

    async def stop(self) -> None:
        """Stop all services, PgBouncer before the database."""
        if self._pgbouncer:
            await self._pgbouncer.stop()
        await self.aws.close()
        await asyncio.gather(self._moto.stop(), self._postgres.stop())
        await self._queue_server.stop()
        self.queues.close()

    def status(self) -> dict[str, Any]:
        pooler = self._pgbouncer.status() if self._pgbouncer else None
        return {"postgres": self._postgres.status(), "pgbouncer": pooler, "aws": self._moto.status(), "queues": self._queue_status()}

    def _queue_status(self) -> dict[str, Any]:
        return {"running": True, "pid": os.getpid(), "restarts": 0, "port": self._queue_server.port}

    async def _start_database(self) -> None:
        await self._postgres.start()
        server = self._postgres
        await asyncio.to_thread(database.bootstrap, server.port, self._passwords, host=server.host, superuser=server.superuser)

    def _database_detail(self) -> str:
        behind = f" behind PgBouncer on port {self._pgbouncer.port}" if self._pgbouncer else ""
        place = f"{self._postgres.host}, " if isinstance(self._postgres, ExternalPostgres) else ""
        return f"PostgreSQL on {place}port {self._postgres.port}{behind}"

    async def _timed(self, name: str, start: Awaitable[None], detail: str) -> None:
        began = time.monotonic()
        await start
        self._step(name, detail, time.monotonic() - began)
