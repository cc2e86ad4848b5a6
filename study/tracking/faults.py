"""Recognizes permanent faults of an MLflow store and says how to fix them.

All other errors of MLflow may pass, such as a server that does not answer or a locked database. Importing this module does not
import mlflow."""

import os
import re

from alexnet.errors import Refused
from study.output import in_a_line, redacted
from study.run.database import is_postgresql

CHOICES = "http://HOST:5000, postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE"
OTHER_DATABASES = ("mysql", "mssql", "databricks")
KEPT = "the run folders keep all runs, and `python -m study record` records them later"


def check_address(uri: str) -> None:
    """Raises Refused for an address that this version of MLflow does not accept."""
    scheme, colon, _ = uri.partition("://")
    if uri.startswith(("http://", "https://", "sqlite:///")) or is_postgresql(uri) or uri.startswith(OTHER_DATABASES):
        return
    if re.fullmatch(r"[\w.-]+:\d+(/\S*)?", uri):
        raise Refused(f"MLFLOW_TRACKING_URI: {uri!r} has no http:// before it; choose http://{uri}")
    if colon and scheme != "file":
        raise Refused(f"MLFLOW_TRACKING_URI: {redacted(uri)!r} is not an address of MLflow; choose {CHOICES}")
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() != "true":
        raise Refused(
            f"MLFLOW_TRACKING_URI: {redacted(uri)!r} is a folder, and MLflow no longer keeps runs in folders; "
            f"choose {CHOICES}; `mlflow migrate-filestore` migrates the runs of a folder, "
            "and MLFLOW_ALLOW_FILE_STORE=true allows the folder"
        )


def lasting(error: BaseException, uri: str) -> Refused | None:
    """Return the permanent fault behind an error, with its remedy. None if another call may work."""
    message, about = redacted(str(error)), f"MLFLOW_TRACKING_URI: {redacted(uri)}"
    if isinstance(error, Refused):
        return error
    if found := re.search(r"found version (\w+), but expected (\w+)", message):
        return Refused(
            f"{about} is the database of another version of MLflow (its schema is {found[1]}, this one's is {found[2]}); if it "
            f"is older: keep a copy, then `mlflow db upgrade {redacted(uri)}`; if newer: install that version; {KEPT}"
        )
    if "file is not a database" in message or "malformed" in message:
        return Refused(f"{about} is damaged, or is not a database; move the file away, or choose {CHOICES}; {KEPT}")
    if isinstance(error, ImportError) and error.name != "mlflow":
        return Refused(f"{about} needs a package that is not installed ({in_a_line(error)}); install it, or choose {CHOICES}")
    if type(error).__name__ in ("ArgumentError", "InvalidUrlException", "NoSuchModuleError"):
        return Refused(f"{about} is not an address of MLflow ({in_a_line(error)}); choose {CHOICES}")
    return None


def is_gone(error: BaseException) -> bool:
    """Return whether an artifact store answered that it has no such file; False if it did not answer."""
    if isinstance(error, FileNotFoundError) or getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
        return True
    return bool(re.search(r"\b404 Client Error\b|\(404\) when calling|\bNoSuchKey\b", str(error)))  # from a server, and from S3


def in_words(error: BaseException, uri: str) -> str:
    """Return why MLflow recorded nothing and what helps: the remedy for a permanent fault, otherwise the next call."""
    if fault := lasting(error, uri):
        return str(fault)
    return f"{in_a_line(error)}; nothing is lost, and the next call records it"
