"""The whole program on a pretended Mac: tests/pretend_mac.py. Nobody has tried it on a real one."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pretend_mac
import pytest

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pretend_mac.needs_linux]
CLAIM = '''"""A tiny question, for a network that trains for a second."""

from dataclasses import replace

from helpers import SMALL

from alexnet.recipe import Layer, changed
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans
from study.questions.scales import SCALES

SCALES["smoke"] = replace(SCALES["smoke"], diff={**SCALES["smoke"].diff, "optim.epochs": 1})
LAYERS = (Layer(outputs=4, kernel=5, padding=2, norm="cross_map", pool="max", weight_std=0.01), SMALL.model.layers[1])

CLAIM = Claim(
    title="Without normalization the error is higher",
    reported=Reported(what="error", value=None, where="a test"),
    arms=(Arm("norm"), Arm("none", {"model.layers.0.norm": "none"})),
    measure=AtEnd("test_error"),
    rule=DifferenceOfMeans(treated="none", control="norm", expected=1, no_effect_within=0.5),
    bases={"TINY": changed(SMALL, {"model.layers": LAYERS, "optim.stop_at_train_error": 0.0})},
    scales={"smoke": "machinery"},
)
'''


@pytest.fixture
def mac(tmp_path) -> dict[str, str]:
    """The environment of a process on a pretended Mac."""
    folders = ("DATA_DIR", "SPOOL_DIR", "RESULTS_DIR", "MLFLOW_TRACKING_URI")
    environment = pretend_mac.environment(tmp_path, ROOT, ROOT / "tests")
    return {name: value for name, value in environment.items() if name not in folders} | {"OMP_NUM_THREADS": "1"}


def test_a_claim_is_run_judged_and_reported_with_kernels_that_its_compiler_built(mac, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tiny.py").write_text(CLAIM)
    command = [sys.executable, "-m", "study", "run", "tiny", "--scale", "smoke", "--seeds", "1"]
    done = subprocess.run(command, cwd=tmp_path, env={**mac, "CLAIMS_DIR": "mine"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "not compiled" not in done.stderr
    results = [json.loads(path.read_text()) for path in (tmp_path / "spool").glob("*/result.json")]
    with open(tmp_path / "my-results" / "runs.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["machine"] for row in rows} == {"Apple M2 x 2, fp32"} and len(rows) == len(results) == 2
    assert {result["software"]["kernels"] for result in results} == {"compiled"}
    assert (tmp_path / "my-results" / "report.html").exists()


HOLDS = """
import sys, time
from pathlib import Path
from study.run.lease import Lease
with Lease(Path("run")):
    print("held", flush=True)
    time.sleep(1000)
"""
TAKES = """
from pathlib import Path
from study.run.lease import Busy, Lease
try:
    with Lease(Path("run")):
        print("taken")
except Busy as busy:
    print(busy)
"""


def test_a_run_whose_process_was_killed_is_taken_over_at_once_and_not_before(mac, tmp_path):
    def taking() -> str:
        return subprocess.run([sys.executable, "-c", TAKES], cwd=tmp_path, env=mac, capture_output=True, text=True).stdout

    with subprocess.Popen([sys.executable, "-c", HOLDS], cwd=tmp_path, env=mac, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            meanwhile = taking()
        finally:
            holder.kill()
    assert f"process {holder.pid} on" in meanwhile
    assert taking() == "taken\n"
