"""`make audit`: the locked packages against what is installed, and against the advisories that pip-audit knows.

Exit codes: 0 nothing found, 1 something was, 75 the advisories could not be asked (no network): nothing is known then.
"""

import argparse
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

LOCK = Path(__file__).parent.parent / "requirements.lock"
UNREACHABLE = 75
ADVISORIES_SECONDS = 600


def what_is_wrong(lock: str) -> list[str]:
    """What needs no network: each pin has hashes, no line names a host, and what is installed is what is locked."""
    wrong = [f"names a host: {line}" for line in lock.splitlines() if "://" in line or line.startswith(("-", "git+"))]
    for block in re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", lock, flags=re.M)):
        pin = block.split("\\")[0].split("  #")[0].strip()
        if not re.match(r"[A-Za-z0-9._-]+(\[[^]]*\])?==", pin):
            wrong += [f"not a pin: {pin}"] if pin else []
            continue
        if "--hash=sha256:" not in block:
            wrong.append(f"no hash: {pin}")
        requirement = Requirement(pin)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            if not requirement.specifier.contains(version(requirement.name), prereleases=True):
                wrong.append(f"installed is {version(requirement.name)}: {pin}")
        except PackageNotFoundError:
            wrong.append(f"not installed: {pin}")
    return wrong


def main() -> int:
    argparse.ArgumentParser(prog="python .ci/audit.py", description=__doc__).parse_args()
    wrong = what_is_wrong(LOCK.read_text())
    consistent = subprocess.run(
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"], capture_output=True, text=True
    )
    wrong += consistent.stdout.splitlines() if consistent.returncode else []
    print(
        "\n".join(wrong)
        or f"{LOCK.name}: every pin has its hashes and is what is installed, and what they require of each other"
    )
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        LOCK,
        "--require-hashes",
        "--disable-pip",
        "--progress-spinner",
        "off",
    ]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ADVISORIES_SECONDS)
    except subprocess.TimeoutExpired:
        asked = None
    if (
        asked
        and asked.returncode in (0, 1)
        and "Traceback" not in asked.stderr
        and re.search("vulnerabilit", asked.stdout + asked.stderr)
    ):
        print(asked.stdout + asked.stderr.strip())
        return 1 if wrong else asked.returncode
    why = (
        (asked.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        if asked
        else f"no answer in {ADVISORIES_SECONDS} s"
    )
    print(
        f"NOT AUDITED: pip-audit could not ask for advisories ({why}); "
        "whether a locked package has a known weakness is not known",
        file=sys.stderr,
    )
    return 1 if wrong else UNREACHABLE


if __name__ == "__main__":
    sys.exit(main())
