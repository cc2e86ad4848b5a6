"""Importing a module of the study changes nothing in the process that imports it, and takes no longer than it has to."""

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


REPORTING = "study.plan.plan, study.plan.cost, study.report.pages, study.report.figures.draw, study.report.verdict_table"
WORDS = "study.judge study.report matplotlib seaborn jinja2"
TRAINING = "study.run.one_run, study.run.queue, study.run.executors.local, alexnet.training.loop"


@pytest.mark.parametrize(
    "modules, never",
    [
        pytest.param("study.__main__", "torch numpy alexnet study.cli", id="start"),  # from here on it can be stopped
        pytest.param("alexnet, alexnet.recipe, alexnet.machine", "torch", id="recipes"),
        pytest.param("study.network_text", "torch numpy pandas", id="a network as text"),
        pytest.param("study.cli.main", "torch pandas matplotlib jinja2 sqlalchemy mlflow optuna", id="no verb yet"),
        pytest.param(REPORTING, "torch mlflow optuna", id="planning and reporting", marks=pytest.mark.slow),
        pytest.param(TRAINING, "mlflow optuna pandas seaborn", id="training", marks=pytest.mark.slow),
        pytest.param("study.tracking.keeper", f"torch mlflow {WORDS}", id="recording", marks=pytest.mark.slow),
        pytest.param("study.tracking.from_tables", "torch mlflow", id="tables into MLflow", marks=pytest.mark.slow),
    ],
)
def test_packages_that_take_long_to_import_are_imported_only_where_they_are_needed(modules, never):
    program = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & set(never.split()) == set()


def test_the_exit_code_of_what_was_stopped_is_written_in_one_place():
    assigned = [path for path in (ROOT / "study").rglob("*.py") if re.search(r"^EXIT_LATER = 75$", path.read_text(), re.M)]
    assert assigned == [ROOT / "study" / "run" / "stop.py"]
