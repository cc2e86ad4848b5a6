"""`python -m tools.mlflow_picture [FILE] [CLAIM]`: take a screenshot of a claim's runs in the MLflow UI with headless Chromium.

Needs chromium and the development packages. Meanwhile, it serves the store of MLFLOW_TRACKING_URI on a free port.
"""

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from alexnet.errors import Refused
from study.output import redacted

START_SECONDS = 180
MOST_PAGES = 20
"""How long the MLflow server may take to start."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.mlflow_picture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", nargs="?", type=Path, default=Path("results/figures/mlflow.png"), help="default: %(default)s")
    parser.add_argument("claim", nargs="?", default="response_norm", help="whose experiment; default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        print(photograph(args.path, args.claim))
        return 0
    except Refused as error:
        print(redacted(error), file=sys.stderr)
        return 2


def photograph(path: Path, claim: str) -> Path:
    """Write a picture of the experiment with the most runs of `claim`.

    Raises Refused if chromium or the experiment is missing.
    """
    if not (chromium := shutil.which("chromium") or shutil.which("google-chrome")):
        raise Refused("chromium: not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    from study.tracking.store import Store
    from study.tracking.view import address_of

    store = Store()
    found = [one for one in store.experiments() if one.name.startswith(f"alexnet/{claim}/")]
    if not found:
        raise Refused(f"{store.uri}: no runs of {claim!r}; `python -m study record` brings those of the spool")
    experiment = max(found, key=lambda e: len(store.client.search_runs([e.experiment_id], max_results=1000)))
    served = store.uri.startswith(("http://", "https://"))
    server, address = (None, store.uri) if served else _serve(store.uri)
    try:
        _wait(f"{address}/health")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1500, "height": 760})
            page.goto(f"{address}/{address_of(experiment.experiment_id)}")
            page.get_by_text("Group:").first.wait_for(timeout=60_000)
            with contextlib.suppress(Exception):  # close the assistant, if this version of MLflow opens one
                page.locator("button:has(svg)").filter(has_text="").last.wait_for(timeout=100)
                page.get_by_role("button", name="Close").click(timeout=3000)
            for _ in range(MOST_PAGES):  # MLflow lists 100 runs at a time
                if not (more := page.get_by_role("button", name="Load more")).count():
                    break
                more.click()
                page.wait_for_timeout(3000)
            page.mouse.move(0, 0)  # no tooltip
            page.wait_for_timeout(3000)  # the table fills in
            path.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=path)
            browser.close()
    finally:
        if server:
            server.terminate()
            server.wait()
    return path


def _serve(uri: str) -> tuple[subprocess.Popen, str]:
    """Start an MLflow server of the store on a free port. Return it and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    settings = {
        "MLFLOW_BACKEND_STORE_URI": uri,  # may hold a password, which `ps` would show in arguments
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # prevents eight processes that wait for language-model jobs
    }
    server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return server, f"http://127.0.0.1:{port}"


def _wait(address: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            if time.monotonic() > until:
                raise Refused(f"{address}: the MLflow server did not start in {START_SECONDS} s") from None
            time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
