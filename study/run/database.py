"""Helpers for a team's database: its address, and a lock, so that only one process at a time creates its tables."""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.files import NOTICE_AFTER_SECONDS
from study.output import redacted

if TYPE_CHECKING:
    import sqlalchemy
    from sqlalchemy.exc import DBAPIError

LOCK = 2012
"""The number of our advisory lock in a PostgreSQL database."""
PATIENCE_SECONDS = 60.0
WAITED_TOO_LONG = "55P03"
"""PostgreSQL's error code for an expired lock_timeout."""


def tracking_uri() -> str:
    """Return the address of MLflow's runs: MLFLOW_TRACKING_URI, else an SQLite file in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"


def is_same(one: str, other: str) -> bool:
    """Return whether two addresses mean the same database. Paths of SQLite files are resolved first."""
    return one == other or (_file_of(one) or one) == (_file_of(other) or other)


def _file_of(uri: str) -> Path | None:
    """Return the file of an SQLite database; None for any other database."""
    if not (found := re.match(r"sqlite(?:\+\w+)?:///(?:file:)?([^?]+)", uri)):
        return None
    return Path(found[1]).resolve()


def is_postgresql(uri: str) -> bool:
    return uri.startswith(("postgresql://", "postgresql+"))


@contextlib.contextmanager
def laying_out(uri: str, schema: str | None = None) -> Iterator[None]:
    """Keep other machines from creating tables in this PostgreSQL database, and create `schema` in it. Other databases need
    nothing.

    MLflow and Optuna both fail if two processes start on an empty database at the same time. After NOTICE_AFTER_SECONDS of
    waiting, a line on standard error says which process holds the lock.
    """
    if not is_postgresql(uri):
        yield
        return
    import sqlalchemy

    name = f"process {os.getpid()} on {socket.gethostname()}"
    options = {"connect_timeout": 10, "application_name": name[:63]}  # waiting processes show this name
    engine = sqlalchemy.create_engine(uri, isolation_level="AUTOCOMMIT", connect_args=options)
    try:
        with engine.connect() as connection:  # closing it releases the lock
            _lock(connection, uri)
            if schema:
                connection.execute(sqlalchemy.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            yield
    finally:
        engine.dispose()


def _lock(connection: "sqlalchemy.Connection", uri: str) -> None:
    """Take the lock. Raises sqlalchemy's OperationalError if it does not become free in time: its holder may be stopped."""
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    def wait(seconds: float) -> None:
        connection.execute(text(f"SET lock_timeout = '{1000 * seconds:.0f}ms'"))
        connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))

    try:
        return wait(NOTICE_AFTER_SECONDS)
    except DBAPIError as error:
        if _code(error) != WAITED_TOO_LONG:
            raise
    asked = (
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
        f"WHERE locktype = 'advisory' AND objid = {LOCK} AND granted AND pg_locks.database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    holder = connection.execute(text(asked)).scalar() or "an unnamed process"
    words = f"waiting for the tables of {redacted(uri)}, held by {holder}; giving up after {PATIENCE_SECONDS:.0f} seconds"
    print(words, file=sys.stderr, flush=True)
    wait(PATIENCE_SECONDS - NOTICE_AFTER_SECONDS)


def _code(error: "DBAPIError") -> str:
    """Return PostgreSQL's own code of an error, from psycopg or psycopg2."""
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
