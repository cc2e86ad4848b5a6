"""pyproject.toml, requirements.lock and environment.yml agree, and none names where packages come from."""

import itertools
import re
import tomllib
from pathlib import Path

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


def test_every_locked_package_has_hashes():
    blocks = re.split(r"\n(?=[A-Za-z0-9_.-]+==)", LOCK)[1:]
    assert len(blocks) > 100
    assert all("--hash=sha256:" in block for block in blocks)


def test_no_file_names_a_package_host():
    host = re.compile(r"https?:/|index.url|find.links|extra.index|[.]whl")
    for name in ("requirements.lock", "pyproject.toml", "environment.yml", "Makefile"):
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
