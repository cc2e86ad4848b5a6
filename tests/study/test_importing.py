"""Importing a module of the study changes nothing in the process that imports it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, logging, os, pkgutil, signal, sys, warnings
import jinja2, matplotlib, numpy, optuna, pandas, scipy.stats, seaborn, torch  # what these change is theirs

def snapshot():
    # Everything that is watched, each by a name of its own.
    return {
        **{f"variable {name}": value for name, value in os.environ.items()},
        **{number.name: str(signal.getsignal(number)) for number in signal.valid_signals() if hasattr(number, "name")},
        **{f"logger {name}": logging.getLogger(name).level for name in watched},
        **{f"matplotlib {name}": str(value) for name, value in dict.items(matplotlib.rcParams)},
        "root logger": logging.root.level,
        "warnings": [str(entry) for entry in warnings.filters],
        "threads": torch.get_num_threads(),
        "folder": os.getcwd(),
    }

watched = set(logging.root.manager.loggerDict)
import study
before, names = snapshot(), []
for module in pkgutil.walk_packages(study.__path__, "study."):
    if module.name != "study.__main__":
        __import__(module.name)
        names.append(module.name)
after = snapshot()
changed = {name: [before.get(name), after.get(name)] for name in {**before, **after} if before.get(name) != after.get(name)}
early = [name for name in ("mlflow", "ray") if name in sys.modules]
print(json.dumps({"count": len(names), "changed": changed, "early": early}))
"""


@pytest.mark.slow
def test_importing_every_module_changes_no_environment_signal_warning_logger_style_or_number_of_threads(tmp_path):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "RAY", "MALLOC", "ARROW", "DO_NOT"))
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={**kept, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout.splitlines()[-1])
    assert content["count"] > 60
    assert content["changed"] == {}
    assert content["early"] == [], "imported before they were told what not to send"
    assert not list(tmp_path.iterdir())


def test_a_command_can_be_stopped_before_anything_that_takes_time_is_imported():
    """`study/__main__.py` takes its exit code from the one place that there is for it, which must not cost it a second."""
    program = "import study.__main__, sys; print(sorted({'torch', 'numpy', 'alexnet', 'study.cli'} & {*sys.modules}))"
    completed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert completed.stdout == "[]\n"
    assigned = [path for path in (ROOT / "study").rglob("*.py") if re.search(r"^EXIT_LATER = 75$", path.read_text(), re.M)]
    assert assigned == [ROOT / "study" / "run" / "stop.py"]
