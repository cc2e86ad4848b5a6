"""The wheel, installed into an empty environment and used from a folder outside of the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from injured import in_make_faults
from lacking import all_but, program

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow
SECONDS = 1800  # for one command: the quick run takes about one minute alone, and many times that beside other work

OWN_CLAIM = """
from study.claims.response_norm import CLAIM as THEIRS
from dataclasses import replace
from alexnet.recipe import ALEXNET_32, changed

SMALL = {"model.width": 0.125, "data.train_images": 256, "optim.batch_size": 32, "optim.epochs": 1, "optim.schedule": ()}
CLAIM = replace(
    THEIRS,
    title="A question from another folder",
    command="alexnet-study run mine",
    bases={"SMALL": changed(ALEXNET_32, SMALL)},
    default_bases=(),
    scales={"shapes": "machinery"},
    arms=(THEIRS.arm("2012"), THEIRS.arm("none")),
    other_readings=(),
)
"""

ALONE = """
import torch, alexnet

network = alexnet.AlexNet(alexnet.PAPER)
print(alexnet.__file__, sum(weights.numel() for weights in network.parameters()))
"""


def built(kind: str, source: Path, folder: Path) -> Path:
    """The wheel or the sdist of `source`, made in an empty folder."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return built("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of an environment that holds the wheel and, by a line in a .pth file, the packages of this one.

    The line saves downloading torch again; it stands behind the environment's own packages, and brings no checkout with it.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=False)
    programs = folder / "env" / "bin"
    where = [programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--offline", "--no-deps", "--python"]
    subprocess.run([*install, programs / "python", wheel], check=True, capture_output=True)
    return programs


@pytest.fixture
def call(installed, tmp_path):
    """call("alexnet-study", "list"): that program of the environment in an empty folder, with no settings of the user's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def run(program: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess:
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TRITON_INTERPRET") if name in os.environ}
        environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", **settings}
        done = subprocess.run(
            [installed / program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def test_the_wheel_holds_the_two_packages_and_the_files_they_read(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"alexnet", "study"}
    others = {name for name in names if not name.endswith(".py") and ".dist-info/" not in name}
    here = {
        str(path.relative_to(ROOT))
        for package in ("alexnet", "study")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert here >= {"alexnet/kernels/cpu.c", "alexnet/py.typed", "study/py.typed", "study/report/templates/report.md.j2"}
    assert others == here | {"study/plan/tuned.json"}
    assert zipfile.ZipFile(wheel).read("study/plan/tuned.json") == (ROOT / "results" / "tuned.json").read_bytes()


def test_the_wheel_that_is_made_from_the_sdist_is_the_same(wheel, tmp_path):
    sdist = built("sdist", ROOT, tmp_path / "sdist")
    shutil.unpack_archive(sdist, tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert built("wheel", source, tmp_path / "again").read_bytes() == wheel.read_bytes()


def test_the_packages_come_from_the_wheel_and_not_from_the_checkout(call):
    output = call("python", "-c", "import alexnet, study; print(alexnet.__file__, study.__file__)").stdout
    assert str(ROOT) not in output and output.count("/env/lib/") == 2


def test_a_claim_of_ones_own_goes_from_training_to_its_report(call, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "claims").mkdir()
    (elsewhere / "claims" / "mine.py").write_text(OWN_CLAIM)
    output = call("alexnet-study", "run", "mine", "--scale", "shapes", "--seeds", "1", CLAIMS_DIR="claims").stdout
    made = sorted(path.name for path in elsewhere.iterdir() if not path.name.startswith("."))
    assert {"mlflow.db", "my-results", "spool"} <= set(made)
    report = (elsewhere / "my-results" / "REPORT.md").read_text()
    assert "A question from another folder" in report and "wrote my-results/REPORT.md\n" in output
    assert "wrote my-results/claims/mine.md\n" in output and (elsewhere / "my-results" / "claims" / "mine.md").exists()
    assert list((tmp_path / "cache" / "alexnet-study").glob("kernels-*.so"))  # built from the wheel's C source


@in_make_faults  # which runs what takes minutes
def test_the_quick_run_goes_from_training_to_its_report(call, tmp_path):
    output = call("alexnet-study", "quick").stdout
    folder = tmp_path / "elsewhere" / "quick"
    made = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    assert made == ["mlartifacts", "mlflow.db", "results", "spool"]
    report = (folder / "results" / "REPORT.md").read_text()
    assert "ReLUs reach 25% training error" in report and str(folder / "results" / "REPORT.md") in output
    assert list((tmp_path / "elsewhere").iterdir()) == [folder]


def test_figure_1_is_planned_with_the_rates_that_were_found_for_it(call):
    output = call("alexnet-study", "plan", "relu_sooner", "--scale", "shapes").stdout
    committed = json.loads((ROOT / "results" / "tuned.json").read_text())
    for base in ("A-today", "A-2012"):
        for arm, found in committed[f"relu_sooner/{base}/cifar10-jpeg"].items():
            if arm in ("relu", "tanh"):
                assert re.search(rf"{base} +{arm} .*learning rate {found['value']} ", output)


def test_an_ablation_is_planned_at_the_rate_of_its_base(call):
    output = call("alexnet-study", "plan", "response_norm", "--scale", "shapes").stdout
    assert re.search(r"ALEXNET_32 +none +3 seeds, 0 done, learning rate 0.01 ", output)


def test_a_folder_of_own_claims_is_read_from_anywhere(call, tmp_path):
    (tmp_path / "elsewhere" / "claims").mkdir()
    (tmp_path / "elsewhere" / "claims" / "mine.py").write_text(OWN_CLAIM)
    assert "mine: A question from another folder" in call("alexnet-study", "list", CLAIMS_DIR="claims").stdout


def test_the_library_is_used_with_torch_and_numpy_alone(call):
    blocked = all_but("torch", "numpy")
    assert {"pandas", "mlflow", "matplotlib", "scipy", "PIL", "torchvision"} <= set(blocked)
    output = call("python", "-c", program(ALONE, "torch", "numpy")).stdout.split()
    assert str(ROOT) not in output[0] and int(output[1]) > 60_000_000  # "60 million parameters", section 1 of the paper
