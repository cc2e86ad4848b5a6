"""What a team's database asks for: its password is shown to nobody, and one process at a time lays out its tables."""

import contextlib
import re
from collections.abc import Iterator

PASSWORDS = re.compile(
    r"(?P<web>https?://[^\s:/@]*):(?!\d+/)\S*@"  # not a port
    r"|(?P<database>(?<!http)(?<!https)://[^\s:/@]*):\S*@"  # a password may hold a slash, a quote or an @
    r"|(?P<token>https?://)[^\s:/@]+@"
    r"|\b(?P<name>password=)[^\s&'\"]+",
    re.I,
)
HIDDEN = {"web": ":***@", "database": ":***@", "token": "***@", "name": "***"}


def redacted(text: object) -> str:
    """`text` with *** for every password in it: of URIs ("postgresql://user:***@host/db") and of "password=..."."""
    return PASSWORDS.sub(_hidden, str(text))


def _hidden(found: re.Match[str]) -> str:
    kind = found.lastgroup
    assert kind, "every alternative of PASSWORDS has a name"
    return found[kind] + HIDDEN[kind]


def in_a_line(error: BaseException) -> str:
    """Type and first line of an error, without passwords."""
    line = redacted((str(error).strip().splitlines() or [""])[0])  # before it is cut: half a password has no @ behind it
    return f"{type(error).__name__}: {line[:160]}"


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
