"""pyproject.toml, requirements.lock and environment.yml agree, and none names where packages come from."""

import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pinned() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", LOCK, re.M):
        found.setdefault(name.lower().replace("_", "-"), set()).add(version)
    return found


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_every_dependency_is_locked_within_its_bounds():
    extras = PROJECT["project"]["optional-dependencies"].values()
    tools = [*PROJECT["dependency-groups"]["dev"], *PROJECT["build-system"]["requires"]]
    for requirement in [*PROJECT["project"]["dependencies"], *itertools.chain(*extras), *tools]:
        name, bounds = re.match(r"([a-z0-9-]+)(.*)", requirement).groups()
        versions = pinned()[name]
        for operator, bound in re.findall(r"(>=|<)([\d.]+)", bounds):
            for version in versions:
                assert (as_numbers(version) >= as_numbers(bound)) == (operator == ">="), (requirement, version)


def audit(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    import audit

    return audit


def test_the_lock_has_all_hashes_names_no_host_and_is_what_is_installed(monkeypatch):
    assert audit(monkeypatch).what_is_wrong(LOCK) == []


@pytest.mark.parametrize(
    "line, word",
    [
        ("numpy==0.1 \\\n    --hash=sha256:0", "installed is"),
        ("numpy>=2 \\\n    --hash=sha256:0", "not a pin"),
        ("no-such-package-of-anyone==1 \\\n    --hash=sha256:0", "not installed"),
        ("numpy @ https://127.0.0.1/numpy", "names a host"),
        ("--extra-index-url 127.0.0.1", "names a host"),
        ("iniconfig==2 ; sys_platform == 'none'", "no hash"),
    ],
)
def test_what_is_wrong_in_a_lock_is_told(monkeypatch, line, word):
    faults = audit(monkeypatch).what_is_wrong(f"# a comment\n{line}\n    # via someone\n")
    assert any(fault.startswith(word) for fault in faults)


@pytest.mark.slow
def test_an_audit_without_a_network_says_so_and_does_not_succeed():
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
    command = [sys.executable, ROOT / ".ci" / "audit.py"]
    done = subprocess.run(command, env={**os.environ, **nowhere, "NO_PROXY": ""}, capture_output=True, text=True)
    assert done.returncode == 75, done.stdout
    assert "NOT AUDITED" in done.stderr and "every pin has its hashes" in done.stdout


def test_no_file_names_a_package_host():
    host = re.compile(r"https?:/|index.url|find.links|extra.index|[.]whl")
    for name in ("pyproject.toml", "environment.yml", "Makefile"):
        lines = [line for line in (ROOT / name).read_text().splitlines() if host.search(line) and "127.0.0.1" not in line]
        assert not lines, (name, lines)


def test_the_lock_was_made_from_this_project_for_its_oldest_python():
    assert "uv pip compile pyproject.toml --all-extras --group dev --generate-hashes" in LOCK.splitlines()[1]
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"--python-version {oldest}" in LOCK.splitlines()[1]
    makefile = (ROOT / "Makefile").read_text()
    assert f"--python-version {oldest}" in makefile


def test_every_file_that_tells_the_version_tells_the_same():
    version = PROJECT["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.M).group(1) == version


def test_conda_users_get_the_same_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert pip == ["--require-hashes", "-r requirements.lock"]
    (python,) = [item for item in environment["dependencies"] if isinstance(item, str) and item.startswith("python=")]
    assert (3, 11) <= as_numbers(python.removeprefix("python=")) <= (3, 13)
