"""A lease runs on a lent machine, which lacks most of our packages, and its results can be read here."""

import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from lacking import all_but, program

from tools.gpu_lease import PACKAGES, main

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
for name in [*names, "benchmarks.gpu", "benchmarks.apart", "tools.gpu_lease", "tools.lease_runs"]:
    if name != "study.__main__":
        try:
            __import__(name)
        except ImportError as error:
            missing[name] = str(error)

import numpy as np
import torch
from helpers import small_run
from made_up_images import few_shapes
from alexnet.data import synthetic_shapes
from alexnet.data.image_sets import load
from alexnet.machine import Machine
from study.plan import results_folder
from study.record.tables import run_name
from study.record.trained_facts import TRAINED
from study.run.one_run import Place, run_planned
from tools.gpu_lease import archive
from tools.lease_runs import read_off

torch.set_num_threads(1)
synthetic_shapes.make_shapes = few_shapes
place = Place(Machine(device="cpu", name="Lent GPU", precision="fp32", threads=1), folder, folder / "spool")
fingerprint = load("shapes", folder).fingerprint
planned_runs = [small_run(0, arm, fingerprint, optim__epochs=2) for arm in ("relu", "tanh")]
for planned in planned_runs:
    run_planned(planned, place, lambda point: None)
said = []
read_off("", [], place, said.append)
facts = {"runs": {run_name(planned_runs[0].key, place.machine.label): {"kernels": [[[[0.5]]] * 3]}}, "ensembles": []}
results_folder.write(folder / "results", {TRAINED.name: TRAINED.content(facts)})
np.savez(folder / "results" / "figures" / "a.npz", pixels=np.arange(3))
archive(folder, folder / "stage-1.tar.gz")
print(json.dumps({"missing": missing, "said": said}))
"""


@pytest.fixture(scope="module")
def lent(tmp_path_factory) -> tuple[dict, Path]:
    """What a process without the missing packages told, and the archive that it left."""
    folder = tmp_path_factory.mktemp("lent")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    environment["RESULTS_DIR"] = str(folder / "results")
    command = [sys.executable, "-c", program(THERE, *PACKAGES), str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), folder / "stage-1.tar.gz"


def test_only_the_search_needs_a_package_that_a_lent_machine_lacks(lent):
    assert {"mlflow", "optuna", "simplejpeg", "jsonschema", "ray", "sqlalchemy"} <= set(all_but(*PACKAGES))
    assert list(lent[0]["missing"]) == ["study.run.search"]


def test_without_mlflow_a_line_says_what_puts_the_runs_into_it(lent):
    mlflow, runs = lent[0]["said"]
    assert "mlflow is not installed here" in mlflow and "record" in mlflow
    assert runs == "2 finished runs"


def test_one_command_at_home_takes_runs_with_their_machine_and_what_was_read_off_their_weights(lent, laid_out, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.chdir(laid_out)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{laid_out / 'mlflow.db'}")
    monkeypatch.setenv("RESULTS_DIR", "results")  # its runs are on synthetic images, which the study's own folder does not take
    with tarfile.open(lent[1]) as packed:
        assert not [name for name in packed.getnames() if name.endswith((".pt", ".lock"))]
    assert main(["--home", str(lent[1])]) == 0
    with open("results/runs.csv") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["arm"], row["machine"]) for row in rows) == [("relu", "Lent GPU, fp32"), ("tanh", "Lent GPU, fp32")]
    content = json.loads(Path("results/trained.json").read_text())["runs"]
    assert [name.split(" ", 1)[1] for name in content] == ["Lent GPU, fp32"]
    with np.load("results/figures/a.npz", allow_pickle=False) as arrays:
        assert arrays["pixels"].tolist() == [0, 1, 2]
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.`study.kind` = 'run'")
    assert {run.data.tags["study.key"] for run in runs} == {row["key"] for row in rows}
    assert all("Lent GPU, fp32" in {**run.data.tags, **run.data.params}.values() for run in runs)
