"""The command line: what is asked wrongly is refused in one line, with code 2, and nothing is written."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers import made_up_result, write_tuned
from made_up_images import image_folders

from alexnet.errors import Refused
from alexnet.recipe import SOURCE_2012, settings
from study.cli.console import Console, program
from study.cli.main import main, parser
from study.environment import MY_RESULTS
from study.plan.claim_files import get_claim
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.pages import PAGES
from study.report.verdict_files import FILE, TABLE

ROOT = Path(__file__).parents[3]


@pytest.fixture
def here(tmp_path, monkeypatch, small_shapes) -> Path:
    """An empty working folder with rates for both treatments, and none of the user's own settings."""
    for name in (
        "SCALE",
        "SEEDS",
        "DEVICE",
        "PRECISION",
        "JOBS",
        "DATA_DIR",
        "ARMS",
        "BASE",
        "RESULTS_DIR",
        "SPOOL_DIR",
        "MLFLOW_TRACKING_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_tuned(tmp_path / "committed", {base: {"relu": 0.01, "tanh": 0.02} for base in ("A-2012", "A-today")})
    monkeypatch.setattr("study.plan.tuned.COMMITTED", (tmp_path / "committed",))
    return tmp_path


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_no_text_that_a_terminal_lacks_the_characters_of_ends_a_command(monkeypatch, encoding):
    text = "about ∞ epochs, caf\u00e9, a file \udcff"
    written = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, content in written.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(content, encoding))
    monkeypatch.setattr(sys, "argv", ["alexnet-study", "list"])

    def say(args):
        Console().say(text)
        Console(to_stderr=True).say(text)
        return 0

    monkeypatch.setattr("study.cli.main._done", say)
    assert main() == 0
    for name, content in written.items():
        getattr(sys, name).flush()
        assert content.getvalue() == f"{text}\n".encode(encoding, "replace")


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "line, message",
    [
        ("run relu_soner", r"^claim: 'relu_soner' is not one of .*relu_sooner"),
        ("run relu_sooner --scale cifar", r"^SCALE: 'cifar' is not one of .*did you mean cifar10"),
        ("run relu_sooner --scale shapes --arms rule", r"^ARMS: 'rule' .*did you mean relu"),
        ("run relu_sooner --scale shapes --base A-2102", r"^BASE: 'A-2102' .*did you mean A-2012"),
        ("run relu_sooner --scale shapes --precision fp8", r"^PRECISION: 'fp8' .*bf16, fp32"),
        ("run relu_sooner --seeds 0", r"^SEEDS: '0' is not a whole number from 1"),
        ("run relu_sooner --scale shapes --jobs two", r"^JOBS: 'two' is not a whole number"),
        ("run relu_sooner --scale shapes --jobs -2", r"^JOBS: -2"),
        ("run relu_sooner --scale cifar10-jpeg", r"^DATA_DIR: no folder data/cifar10-jpeg/train"),
        ("search relu_sooner --scale cifar10-jpeg", r"^DATA_DIR: no folder data/cifar10-jpeg/train"),
        ("search response_norm --scale shapes", r"^claim: 'response_norm' tunes nothing"),
        ("train ALEXNET --set data.name=shapes", r"^recipe: 'ALEXNET' is not one of .*ALEXNET_32"),
        ("train ALEXNET_32 --set model.activatoin=tanh", r"^recipe field: 'model.activatoin' .*did you mean model.activation"),
        ("train ALEXNET_32 --set model.activation", r"^--set: 'model.activation' is not FIELD=VALUE"),
        ("train ALEXNET_32 --set optim.epochs=many", r"^optim.epochs: 'many' is str, the field takes int"),
        ("train ALEXNET_32 --set data.name=shapes --seed one", r"^--seed: 'one' is not a whole number"),
        ("describe FIGURE_1_D", r"^recipe: 'FIGURE_1_D' .*did you mean FIGURE_1_"),
        ("describe relu_sooner/A-2012/gelu", r"^arm of the recipe: 'gelu' is not one of relu, tanh"),
        ("describe relu_sooner/A-2102", r"^base of the recipe: 'A-2102' .*did you mean A-2012"),
        ("describe relu_soner/A-2012", r"^claim: 'relu_soner' .*did you mean relu_sooner"),
        ("record nowhere", r"^spool: no folder nowhere"),
        ("frobnicate", r"python -m study.*frobnicate"),
        ("run relu_sooner --sead 3", r"--sead"),
    ],
)
def test_a_mistake_is_one_line_and_code_2_and_writes_nothing(here, capsys, line, message):
    before = files(here)
    assert main(shlex.split(line)) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.strip().splitlines()) == 1
    assert re.search(message, error)
    assert files(here) == before


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_refused_by_its_variable(here, capsys, monkeypatch):
    (here / "file").write_text("")
    for variable in ("RESULTS_DIR", "SPOOL_DIR"):
        with monkeypatch.context() as setting:
            setting.setenv(variable, str(here / "file" / "inside"))
            assert main(["run", "relu_sooner", "--scale", "smoke", "--base", "A-today"]) == 2
        assert re.match(rf"{variable}: cannot write to .*file/inside", capsys.readouterr().err)


@pytest.mark.slow
def test_without_a_scale_the_first_data_there_is_taken_and_the_reason_is_told(here, capsys, monkeypatch):
    monkeypatch.setattr("alexnet.data.cifar10.download", lambda folder: pytest.fail("a plan downloads nothing"))
    monkeypatch.setattr("study.cli.selection.FALLBACK", ("cifar10", "shapes"))
    assert main(["plan", "relu_sooner"]) == 0
    text = capsys.readouterr().out
    assert "Scale shapes: stand-in data" in text
    assert "(170 MB to be downloaded); shapes is there" in text


def test_an_explicit_scale_never_falls_back(here, capsys, monkeypatch):
    monkeypatch.setattr("alexnet.data.cifar10.download", lambda folder: "CIFAR-10 could not be downloaded (no network)")
    assert main(["run", "relu_sooner", "--scale", "cifar10"]) == 2
    assert capsys.readouterr().err.startswith("DATA_DIR: CIFAR-10 could not be downloaded")


@pytest.mark.slow
def test_the_plan_for_scripts_lists_every_run_with_its_key(here, capsys):
    assert main(["plan", "relu_sooner", "--scale", "smoke", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(r["base"], r["arm"], r["seed"]) for r in plan["runs"]] == [("A-today", arm, 0) for arm in ("relu", "tanh")]
    assert len({r["key"] for r in plan["runs"]}) == 2
    assert [(claim["claim"], claim["scale"], claim["runs"]) for claim in plan["claims"]] == [("relu_sooner", "smoke", 2)]
    machine = plan["machine"]
    assert plan["core_hours"] == pytest.approx(plan["expected_seconds"] * machine["threads"] * machine["jobs"] / 3600)


@pytest.mark.slow
def test_a_plan_tells_which_runs_are_in_the_tables_though_they_were_made_elsewhere(here, capsys):
    command = ["plan", "relu_sooner", "--scale", "smoke"]
    assert main([*command, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    planned_runs = make_plan("relu_sooner", "smoke", plan["claims"][0]["fingerprint"], Tuned.read(here / MY_RESULTS))
    (one,) = (planned for planned in planned_runs if planned.arm == "tanh")
    tables.merge(here / MY_RESULTS, [made_up_result(one)])
    assert main([*command, "--json"]) == 0
    assert {row["arm"]: row["in_tables"] for row in json.loads(capsys.readouterr().out)["runs"]} == {
        "relu": False,
        "tanh": True,
    }
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [("1 in the tables" in line) for line in lines if "learning rate 0" in line] == [False, True]
    assert lines[-1].startswith("Runs in the tables that were not made in this SPOOL_DIR")


@pytest.mark.slow
def test_a_list_of_some_claims_has_no_others_and_tells_their_verdicts_at_own_rates(capsys, monkeypatch):
    monkeypatch.setenv("RESULTS_DIR", str(ROOT / "results"))
    assert main(["list", "dropout_e*", "depth", "--json"]) == 0
    claims = json.loads(capsys.readouterr().out)
    assert set(claims) == {"dropout_error", "depth"}
    assert any(one["id"].startswith("dropout_error_own_rate/") for one in claims["dropout_error"]["verdicts"])
    assert main(["list", "dropuot"]) == 2
    assert "claim: 'dropuot' is not one of" in capsys.readouterr().err


def test_a_list_has_the_arms_and_the_margin_only_of_claims_that_are_named(here, capsys):
    assert main(["list", "depth"]) == 0
    named = capsys.readouterr().out
    assert main(["list"]) == 0
    overview = capsys.readouterr().out
    assert "  arms      all-five (default)" in named and "  margin  " in named
    assert "\ndepth: " in overview and "  arms  " not in overview and "  margin  " not in overview


@pytest.mark.parametrize(
    ("verb", "code"),
    [*((verb, 1) for verb in ("quick", "replicate", "run", "search", "settle", "train")), ("report", 0)],
)
def test_a_reader_that_goes_away_is_no_mistake_but_a_plan_that_was_not_trained_is_not_done(here, monkeypatch, verb, code):
    """`... | head`: a script must not take 0 for trained."""

    def nobody_reads(*_):
        raise BrokenPipeError

    monkeypatch.setattr("study.cli.report.write_pages" if verb == "report" else f"study.cli.{verb}.{verb}", nobody_reads)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    assert (
        main(
            [
                verb,
                *{"run": ["relu_sooner"], "search": ["relu_sooner"], "replicate": ["depth"], "train": ["PAPER"]}.get(verb, []),
            ]
        )
        == code
    )


@pytest.mark.parametrize("ends", [0, Refused("no"), KeyboardInterrupt(), ZeroDivisionError()], ids=repr)
def test_however_a_command_ends_sigterm_does_what_it_did_before(here, monkeypatch, ends):
    """Left behind, the way of `run` to stop would end whatever the caller does next with code 75."""

    def command(*_):
        signal.signal(signal.SIGTERM, lambda *_: None)
        if isinstance(ends, BaseException):
            raise ends

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("study.cli.report.write_pages", command)
    with contextlib.suppress(ZeroDivisionError):
        main(["report"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_two_recipes_are_compared_field_by_field(here, capsys):
    assert main(["describe", "relu_sooner/A-2012", "relu_sooner/A-today", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "data.inputs": ["minus_mean_image", "standardized"],
        "model.init": ["listed", "torch"],
        "optim.bias_rate_factor": [2.0, 1.0],
    }


def test_a_description_shows_every_field_of_the_recipe(here, capsys):
    assert main(["describe", "SOURCE_2012"]) == 0
    told = capsys.readouterr().out
    columns = set(re.findall(r"[a-z_]+", " ".join(line for line in told.splitlines() if line.startswith("layer "))))
    for name in settings(SOURCE_2012):
        is_of_layer = re.fullmatch(r"model\.layers\.\d\.(\w+)", name)
        shown = {"kind": "layer"}.get(is_of_layer[1], is_of_layer[1]) in columns if is_of_layer else f"{name} = " in told
        assert shown, name


@pytest.mark.parametrize("arm", ["", "/none"])
def test_a_recipe_is_described_as_it_is_trained_at_a_scale(here, capsys, arm):
    assert main(["describe", f"response_norm/ALEXNET_32{arm}", "--scale", "cifar10-jpeg-2500", "--json"]) == 0
    recipe = get_claim("response_norm").recipe_at("cifar10-jpeg-2500", "ALEXNET_32", arm[1:] or "2012")
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(settings(recipe)))


@pytest.mark.parametrize(
    "verb",
    ["list", "plan", "run", "search", "record", "table", "report", "describe", "train", "data", "status"],
)
def test_every_verb_answers_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args([verb, "--help"])
    assert stop.value.code == 0
    assert f"usage: {program()}" in capsys.readouterr().out


def test_report_says_which_files_it_writes(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["report", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert all(name in printed for name in (*PAGES, FILE, TABLE))


@pytest.mark.slow
def test_the_variables_of_the_environment_stand_in_for_options(here, capsys, monkeypatch):
    for name, value in {"SCALE": "smoke", "SEEDS": "1", "BASE": "A-2012", "ARMS": "tanh"}.items():
        monkeypatch.setenv(name, value)
    assert main(["plan", "relu_sooner", "--json"]) == 0
    assert [(r["base"], r["arm"], r["seed"]) for r in json.loads(capsys.readouterr().out)["runs"]] == [("A-2012", "tanh", 0)]
    assert os.listdir(here) == ["committed"]


def module(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess:
    """A command as a user types it, in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
    command = [sys.executable, *shlex.split(line)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_a_recipe_with_changed_fields_is_trained_once_and_recorded(here, empty_mlflow):
    image_folders(here / "data")
    shutil.copy(empty_mlflow, here)
    line = (
        "-m study train ALEXNET_32 --set data.name=cifar10-jpeg --set data.train_images=256 --set optim.epochs=2 "
        "--set optim.schedule=[] --set model.width=0.125 --json"
    )
    first, again = module(line, here), module(line, here)
    assert first.returncode == again.returncode == 0, first.stderr
    assert json.loads(first.stdout) == json.loads(again.stdout)
    result = json.loads(first.stdout)
    errors = (f"{100 * result[name]:.1f}%" for name in ("test_error", "test_error_ten_views"))
    told = "finished: training error {}, test error {} (ten views {}); network and result in {}".format(
        f"{100 * result['points'][-1]['train_error']:.1f}%", *errors, Path("spool") / result["key"]
    )
    assert first.stderr.splitlines()[-1] == again.stderr.splitlines()[-1] == told
    assert "done already" not in first.stderr and again.stderr.index("done already") < again.stderr.index("epoch 1 of 2")
    assert result["outcome"] == "finished" and result["recipe"]["model"]["width"] == 0.125
    assert result["asked"]["claim"] == "train" and not (here / "results").exists()
    assert result["key"] in (here / "mlflow.db").read_text("latin-1")


# ---- How it is started -----------------------------------------------------------------------------------------------

SCRIPT = """#!{python}
import json, os, sys
from study.run.one_run import ALLOCATOR, start_again_with_allocator

os.environ["STARTS"] = str(int(os.environ.get("STARTS", "0")) + 1)
start_again_with_allocator()
print(json.dumps([os.environ["STARTS"], sys.argv[1:], [os.environ[name] for name in ALLOCATOR] == list(ALLOCATOR.values())]))
"""


@pytest.mark.parametrize("as_script", [True, False])
def test_what_trains_in_its_own_process_starts_once_more_with_the_allocator_and_the_same_arguments(tmp_path, as_script):
    """As a console script, and as a module."""
    path = tmp_path / "alexnet_study.py"
    path.write_text(SCRIPT.format(python=sys.executable))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "THP_"))}
    command = [sys.executable, *([str(path)] if as_script else ["-m", "alexnet_study"]), "train", "--set", "a b=c"]
    environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert json.loads(done.stdout) == ["2", ["train", "--set", "a b=c"], True], done.stderr


@pytest.mark.parametrize(
    ("started", "prog"), [("/venv/bin/alexnet-study", "alexnet-study"), ("/study/__main__.py", "python3.99 -m study")]
)
def test_help_names_the_command_as_it_was_started_and_where_results_and_runs_are_looked_for(monkeypatch, capsys, started, prog):
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(sys, "executable", "/nowhere/python3.99")
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    text = capsys.readouterr().out
    assert text.startswith(f"usage: {prog} ") and f"{prog} run relu_sooner" in text
    assert all(word in text for word in ("working folder", "RESULTS_DIR", "SPOOL_DIR", "DATA_DIR"))


def test_a_wrong_value_of_a_variable_is_refused_as_one_of_the_option(here, capsys, monkeypatch):
    monkeypatch.setenv("JOBS", "many")
    assert main(["plan", "relu_sooner", "--scale", "smoke"]) == 2
    assert capsys.readouterr().err == "JOBS: 'many' is not a whole number\n"


# ---- Packages that are not there -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "extra"), [("optuna.trial", "search"), ("psycopg", "postgresql"), ("scipy", "study"), ("pandas", "study")]
)
def test_a_package_that_is_not_installed_is_named_with_what_brings_it(monkeypatch, capsys, module, extra):
    def show_status(args):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("study.cli.status.show_status", show_status)
    assert main(["status"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    package = module.split(".")[0]
    assert line == (
        f"status needs {package}, which is not installed for this Python ({sys.executable}): use .venv/bin/python (made by "
        f"`make setup`), or `pip install '.[{extra}]'` in the checkout"
    )
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_a_module_of_our_own_that_is_missing_is_our_own_fault(monkeypatch):
    def show_status(args):
        raise ModuleNotFoundError("No module named 'study.lost'", name="study.lost")

    monkeypatch.setattr("study.cli.status.show_status", show_status)
    with pytest.raises(ModuleNotFoundError):
        main(["status"])
