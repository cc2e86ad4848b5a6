"""What a team's database asks for: its password is shown to nobody, and one process at a time lays out its tables."""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from alexnet.files import TOLD_AFTER_SECONDS

if TYPE_CHECKING:
    import sqlalchemy
    from sqlalchemy.exc import DBAPIError

LOCK = 2012
"""Its number among the advisory locks of a PostgreSQL database."""
PATIENCE_SECONDS = 60.0
WAITED_TOO_LONG = "55P03"
"""What PostgreSQL calls a lock_timeout that ran out."""

PASSWORDS = re.compile(
    r"(?P<web>https?://[^\s:/@]*):(?!\d+/)\S*@"  # not a port
    # A password may hold a slash, a quote or an @; the example that a refusal gives holds none.
    r"|(?P<database>(?<!http)(?<!https)://(?!(?-i:USER:PASSWORD@HOST/DATABASE)(?![^\s,;)]))[^\s:/@]*):\S*@"
    r"|(?P<token>https?://)[^\s:/@]+@"
    r"|\b(?P<name>password=)[^\s&'\"]+",
    re.I,
)
HIDDEN = {"web": ":***@", "database": ":***@", "token": "***@", "name": "***"}


def tracking_uri() -> str:
    """Where MLflow's runs are: MLFLOW_TRACKING_URI, else an SQLite file in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').resolve()}"


def is_same(one: str, other: str) -> bool:
    """Whether two addresses are of one database: of files of SQLite however their paths are written."""
    return one == other or (_file_of(one) or one) == (_file_of(other) or other)


def _file_of(uri: str) -> Path | None:
    """The file of an SQLite database; None for any other."""
    if not (found := re.match(r"sqlite(?:\+\w+)?:///(?:file:)?([^?]+)", uri)):
        return None
    return Path(found[1]).resolve()


def redacted(text: object) -> str:
    """`text` with *** for every password in it: of URIs ("postgresql://user:***@host/db") and of "password=..."."""
    return PASSWORDS.sub(_hidden, str(text))


def _hidden(found: re.Match[str]) -> str:
    kind = found.lastgroup
    assert kind, "every alternative of PASSWORDS has a name"
    return found[kind] + HIDDEN[kind]


def in_a_line(error: BaseException) -> str:
    """Type and first line of an error, without passwords. A refusal is told as it is: it is a line, and meant for the user."""
    if isinstance(error, Refused):
        return redacted(error)
    line = redacted((str(error).strip().splitlines() or [""])[0])  # before it is cut: half a password has no @ behind it
    return f"{type(error).__name__}: {line[:160]}"


def is_postgresql(uri: str) -> bool:
    return uri.startswith(("postgresql://", "postgresql+"))


@contextlib.contextmanager
def laying_out(uri: str, schema: str | None = None) -> Iterator[None]:
    """Hold off other machines that lay out tables in this PostgreSQL database, and make `schema` in it; nothing elsewhere.

    MLflow and Optuna both fail where two of them start on an empty database at once. After TOLD_AFTER_SECONDS of waiting a line
    on standard error says for whom.
    """
    if not is_postgresql(uri):
        yield
        return
    import sqlalchemy

    name = f"process {os.getpid()} on {socket.gethostname()}"
    options = {"connect_timeout": 10, "application_name": name[:63]}  # the name is for those who wait
    engine = sqlalchemy.create_engine(uri, isolation_level="AUTOCOMMIT", connect_args=options)
    try:
        with engine.connect() as connection:  # whose end lets go of the lock
            _lock(connection, uri)
            if schema:
                connection.execute(sqlalchemy.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            yield
    finally:
        engine.dispose()


def _lock(connection: "sqlalchemy.Connection", uri: str) -> None:
    """Raises sqlalchemy's OperationalError where the lock is not to be had in time: whoever holds it may have been stopped."""
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    def wait(seconds: float) -> None:
        connection.execute(text(f"SET lock_timeout = '{1000 * seconds:.0f}ms'"))
        connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))

    try:
        return wait(TOLD_AFTER_SECONDS)
    except DBAPIError as error:
        if _code(error) != WAITED_TOO_LONG:
            raise
    asked = (
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
        f"WHERE locktype = 'advisory' AND objid = {LOCK} AND granted AND pg_locks.database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    holder = connection.execute(text(asked)).scalar() or "a process that is not named"
    words = f"waiting for the tables of {redacted(uri)}, held by {holder}; given up after {PATIENCE_SECONDS:.0f} seconds"
    print(words, file=sys.stderr, flush=True)
    wait(PATIENCE_SECONDS - TOLD_AFTER_SECONDS)


def _code(error: "DBAPIError") -> str:
    """PostgreSQL's own code of an error, as psycopg and psycopg2 tell it."""
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
