"""What a team's database asks for: its password is shown to nobody, and one process at a time lays out its tables."""

import contextlib
import re
from collections.abc import Iterator

PASSWORDS = re.compile(r"(\w://[^\s:/@]*):(?!\d+/)[^\s'\"]*@|\b(password=)[^\s&'\"]+", re.I)


def redacted(text: object) -> str:
    """`text` with *** for every password in it: of URIs ("postgresql://user:***@host/db") and of "password=..."."""
    return PASSWORDS.sub(lambda found: f"{found[1]}:***@" if found[1] else f"{found[2]}***", str(text))


def in_a_line(error: BaseException) -> str:
    """Type and first line of an error, without passwords."""
    return redacted(f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}")


def is_postgresql(uri: str) -> bool:
    return uri.startswith(("postgresql://", "postgresql+"))


@contextlib.contextmanager
def laying_out(uri: str, schema: str | None = None) -> Iterator[None]:
    """Hold off other machines that lay out tables in this PostgreSQL database, and make `schema` in it; nothing elsewhere.

    MLflow and Optuna both fail where two of them start on an empty database at once.
    """
    if not is_postgresql(uri):
        yield
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:  # whose end lets go of the lock
            connection.execute(sqlalchemy.text("SET lock_timeout = '60s'"))  # whoever holds it may have been stopped
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(2012)"))
            if schema:
                connection.execute(sqlalchemy.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            yield
    finally:
        engine.dispose()
