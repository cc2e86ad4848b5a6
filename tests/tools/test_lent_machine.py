"""What a lease needs is on a lent machine, which lacks most of our packages, and what it brings home is taken up here."""

import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from lacking import all_but, program

from study.cli.main import main
from tools.gpu_lease import PACKAGES

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

THERE = """
import json, pkgutil, sys
from pathlib import Path

folder = Path(sys.argv[1])
import alexnet, study

missing = {}
packages = (alexnet, study)
names = [module.name for package in packages for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
for name in [*names, "benchmarks.gpu", "benchmarks.apart", "tools.gpu_lease"]:
    if name != "study.__main__":
        try:
            __import__(name)
        except ImportError as error:
            missing[name] = str(error)

import torch
from helpers import small_cell
from made_up_images import few_shapes
from alexnet.data import synthetic_shapes
from alexnet.data.image_sets import load
from alexnet.machine import Machine
from study.record.keeper import record_results
from study.run.one_run import Place, run_cell
from tools.gpu_lease import archive

torch.set_num_threads(1)
synthetic_shapes.make_shapes = few_shapes
place = Place(Machine(device="cpu", name="Lent GPU", precision="fp32", threads=1), folder, folder / "spool")
fingerprint = load("shapes", folder).fingerprint
cells = [small_cell(0, arm, fingerprint, optim__epochs=2) for arm in ("relu", "tanh")]
results = [run_cell(cell, place, lambda point: None) for cell in cells]
recorded = record_results(results, place.spool_dir, folder / "results")
archive(folder, folder / "back.tar.gz")
print(json.dumps({"missing": missing, "in_tables": recorded.in_tables, "said": recorded.warning}))
"""


@pytest.fixture(scope="module")
def lent(tmp_path_factory) -> tuple[dict, Path]:
    """What a process without the missing packages told, and the archive that it left."""
    folder = tmp_path_factory.mktemp("lent")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program(THERE, *PACKAGES), str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), folder / "back.tar.gz"


def test_only_the_search_needs_a_package_that_a_lent_machine_lacks(lent):
    assert {"mlflow", "optuna", "simplejpeg", "jsonschema", "ray", "sqlalchemy"} <= set(all_but(*PACKAGES))
    assert list(lent[0]["missing"]) == ["study.run.search"]


def test_without_mlflow_runs_are_in_the_tables_and_a_line_says_what_puts_them_into_mlflow(lent):
    assert lent[0]["in_tables"] and "mlflow is not installed here" in lent[0]["said"] and "record" in lent[0]["said"]


def test_what_comes_home_is_recorded_with_its_machine(lent, laid_out, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.chdir(laid_out)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{laid_out / 'mlflow.db'}")
    monkeypatch.delenv("RESULTS_DIR", raising=False)
    with tarfile.open(lent[1]) as packed:
        assert not [name for name in packed.getnames() if name.endswith(".pt") or name.startswith("results")]
        packed.extractall(laid_out, filter="data")
    assert main(["record", "spool"]) == 0
    with open("results/runs.csv") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["arm"], row["machine"]) for row in rows) == [("relu", "Lent GPU, fp32"), ("tanh", "Lent GPU, fp32")]
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.`study.kind` = 'run'")
    assert {run.data.tags["study.key"] for run in runs} == {row["key"] for row in rows}
    assert all("Lent GPU, fp32" in {**run.data.tags, **run.data.params}.values() for run in runs)
