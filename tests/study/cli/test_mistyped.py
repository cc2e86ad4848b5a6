"""What is mistyped is not taken in silence: a folder that is not there, an option that does nothing, a word for another."""

import argparse
import dataclasses
import os
import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from alexnet.data.own_names import MOST_TEST_PERCENT
from alexnet.errors import Refused
from alexnet.machine import Machine
from study.cli import selection
from study.cli.console import program
from study.cli.main import main
from study.cli.plan import found_at
from study.cli.selection import first_scale_there, select_claims
from study.environment import there
from study.plan.claim_files import all_claims, read_claims
from study.questions.claim import NOUNS, concrete, miscalled
from study.questions.scales import FALLBACK
from study.run.result import SEEDS_BELOW

ROOT = Path(__file__).parents[3]
CLAIMS = all_claims()
VARIABLES = (
    "SCALE",
    "SEEDS",
    "DEVICE",
    "PRECISION",
    "JOBS",
    "ARMS",
    "BASE",
    "EXECUTOR",
    "DATA_DIR",
    "RESULTS_DIR",
    "SPOOL_DIR",
)
OWN = {"IMAGES": "", "IMAGES_NAME": "x", "SIDE": "32", "TEST_PERCENT": "30", "SPLITS": "2"}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working folder with an empty folder and a file in it, and none of the user's own settings."""
    for name in (*VARIABLES, *OWN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


def refused(line: str, capsys) -> str:
    """The one line that the command gives. Nothing is written."""
    before = set(Path.cwd().rglob("*"))
    assert main(shlex.split(line)) == 2
    out, error = capsys.readouterr()
    assert out == "" and len(error.splitlines()) == 1 and len(error) < 400, error
    assert set(Path.cwd().rglob("*")) == before
    return error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run depth --device gpu", r"^DEVICE: 'gpu' is not one of auto, cpu, cuda; did you mean cuda\?"),
        ("status --device GPU", r"did you mean cuda\?"),
        ("settle --new-rule --looks 1,2", r"^--looks: '1,2' are not growing numbers of seeds, 2 or more"),
        ("plan all depth", r"^claim: all means every claim and stands alone.*\(depth\)"),
        ("run depth all", r"^claim: all .*stands alone"),
        ("settle all depth --plan", r"^claim: all .*stands alone"),
        ("plan depth --scale shapes --arms all,without-3", r"^ARMS: all .*name it alone"),
        ("describe relu_sooner", r"^recipe: 'relu_sooner' is a claim; name its base too: relu_sooner/A-2012, "),
        (
            "search response_norm --scale shapes --base ALEXNET_32 --arms none",
            r"study search response_norm_own_rate --scale shapes --base ALEXNET_32 --arms none` finds",
        ),
        (
            "search all --scale cifar10-2500",
            r"^SCALE: no claim of `search all` is asked at 'cifar10-2500'; choices: cifar10, cifar10-jpeg, shapes, smoke$",
        ),
        ("describe depth_own_rate", r"^recipe: 'depth_own_rate' is a claim; name its base too: depth_own_rate/ALEXNET_32"),
        (
            "settle depth_own_rate --scale cifar10-jpeg --plan",
            r"^claim: depth_own_rate has no claim file .*run depth_own_rate --scale cifar10-jpeg` trains it$",
        ),
        ("describe nope", r"^recipe: 'nope' is not one of .*SOURCE_2012.*CLAIM/BASE"),
        ("check nowhere.json", r"^nowhere.json: no such file$"),
        ("describe PAPER --scale cifar10-jpg", r"^--scale: 'cifar10-jpg' .*did you mean cifar10-jpeg"),
        ("describe PAPER --scale cifar10-jpeg", r"^--scale: cifar10-jpeg has images of 32 pixels a side, and crops of 224 "),
        ("describe PAPER SOURCE_2012 --figure x.png", r"^--figure: .*not the differences between two"),
        ("describe PAPER --json --figure x.png", r"^--figure: .*not JSON"),
        ("data pack imagenet --side 32", r"^--side: only own images"),
        ("data check empty --from empty", r"^--from: "),
        ("run depth --scale shapes --name x", r"^--name: only own images \(--images DIR\)"),
        ("plan depth --scale own-x-32px --side 32", r"^--side: only own images"),
        ("run depth --images empty --test-percent 200", rf"^--test-percent: 200 is more than {MOST_TEST_PERCENT}"),
        (f"train ALEXNET_32 --seed {SEEDS_BELOW}", rf"^--seed: {SEEDS_BELOW} is more than {SEEDS_BELOW - 1}$"),
        (f"train ALEXNET_32 --seed {10**4000}", r"^--seed: 1000.*\(4001 characters\) is more than"),
        ("run depth --scale shapes --jobs 1000000", r"^JOBS: 1000000 is more than 100000$"),
        ("run depth --images empty --splits 100000", r"^--splits: 100000 is more than 1000$"),
        ("record ''", r"^spool: is empty"),
        ("merge ''", r"^DIR: no folder ''"),
        ("check ''", r"^FILE: is empty"),
        ("data check ''", r"^data: no folder ''"),
        ("data pack imagenet --from ''", r"^--from: no folder ''"),
        ("run depth --images ''", r"^IMAGES: no folder ''"),
        ("report", r"^RESULTS_DIR: no runs.csv in results"),
        ("plan depth --scale cifar10", r"^DATA_DIR: CIFAR-10 .*170 MB.*`.* data pack cifar10` does"),
    ],
)
def test_a_line_of_a_user_is_refused_in_the_words_that_he_typed(here, capsys, line, message):
    assert re.search(message, refused(line, capsys).strip())


READERS = ["report", "list", "check", "diff HEAD", "table --accept", "status", "record"]


@pytest.mark.parametrize("wrong", ["nowhere", "file"])
@pytest.mark.parametrize("verb", READERS)
def test_a_folder_that_a_variable_names_is_there_where_it_is_read(here, capsys, monkeypatch, verb, wrong):
    field = "SPOOL_DIR" if verb in ("status", "record") else "RESULTS_DIR"
    monkeypatch.setenv(field, wrong)
    assert re.match(rf"({field}|spool): (no folder {wrong}|{wrong} is a file, not a folder)$", refused(verb, capsys).strip())


@pytest.mark.parametrize("field", ["RESULTS_DIR", "SPOOL_DIR"])
@pytest.mark.parametrize("line", ["plan depth --scale shapes", "settle depth --scale shapes --plan"])
def test_before_a_first_run_a_new_folder_may_be_named_but_no_file(here, capsys, monkeypatch, line, field):
    monkeypatch.setenv(field, "new")
    assert there(Path("new"), field, may_be_new=True) == Path("new")
    monkeypatch.setenv(field, "file")
    assert refused(line, capsys) == f"{field}: file is a file, not a folder\n"


@pytest.mark.parametrize("variable", [name for name in OWN if name != "IMAGES"])
@pytest.mark.parametrize("line", ["run depth --scale shapes", "train ALEXNET_32 --set data.name=shapes", "settle --plan"])
def test_what_a_variable_says_of_images_without_images_is_refused_by_its_name(here, capsys, monkeypatch, variable, line):
    monkeypatch.setenv(variable, OWN[variable])
    option = {"IMAGES_NAME": "--name"}.get(variable, f"--{variable.lower().replace('_', '-')}")
    assert refused(line, capsys) == f"{option}: only own images (--images DIR) take it, or {variable}\n"


NO_PATH = "a" * 300
NAMED = {
    "data check {}": "data",
    "describe PAPER --figure {}.png": "--figure",
    "data pack imagenet --from {}": "--from",
    "run depth --images {}": "IMAGES",
    "record {}": "spool",
    "check {}": "FILE",
    "diff {}": "diff",
    "merge {}": "DIR",
}


@pytest.mark.parametrize("line", NAMED)
def test_a_path_that_no_file_can_have_is_refused_where_it_is_named(here, capsys, line):
    assert refused(line.format(NO_PATH), capsys).startswith(f"{NAMED[line]}: 'aaaa")


@pytest.mark.parametrize("value", [NO_PATH, "loop"])
@pytest.mark.parametrize("variable", ["RESULTS_DIR", "SPOOL_DIR", "DATA_DIR", "CLAIMS_DIR"])
def test_a_variable_that_names_no_possible_folder_is_refused(here, capsys, monkeypatch, variable, value):
    (here / "loop").symlink_to("loop")
    monkeypatch.setenv(variable, value)
    assert refused("plan depth", capsys).startswith(f"{variable}: ")


def test_a_picture_whose_name_is_too_long_is_refused_before_it_is_drawn(here, capsys):
    figure = f"{'d' * 240}.png"  # with what is put before it until it is whole
    error = refused(f"describe PAPER --figure {figure}", capsys)
    assert error == f"--figure: cannot write {figure} (File name too long)\n"


def test_a_file_in_the_way_of_a_folder_ends_a_command_in_a_line(here, capsys, monkeypatch):
    monkeypatch.setattr("study.cli.report.write_pages", lambda args: (here / "file" / "x").write_text(""))
    assert main(["report"]) == 1
    assert re.fullmatch(r"NotADirectoryError: .*file/x'; what was written is whole, .*\n", capsys.readouterr().err)


# ---- Which scale -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if not set(FALLBACK) & set(claim.scales)])
@pytest.mark.parametrize("verb", ["run", "plan", "settle --plan"])
def test_a_claim_at_no_usual_scale_says_at_which_it_is_asked(here, capsys, verb, name):
    first, *others = CLAIMS[name].scales
    error = refused(f"{verb} {name}", capsys)
    assert error == f"SCALE: {name} is asked at {', '.join([first, *others])}; name one: --scale {first}, or SCALE={first}\n"


def test_no_claim_that_was_named_is_left_out_beside_another(here, monkeypatch):
    monkeypatch.setattr("alexnet.data.image_sets.available", lambda *_: "")
    args = argparse.Namespace(claims=["depth", "rate_drops"], scale=None, base=[], arms=[], verb="run")
    with pytest.raises(Refused, match="rate_drops is asked at"):
        select_claims(args, on_gpu=False)
    assert {one.name for one in select_claims(argparse.Namespace(**vars(args) | {"claims": ["all"]}), on_gpu=False)} == {
        name for name, claim in CLAIMS.items() if claim.rule.is_tested and set(FALLBACK) & set(claim.scales)
    }


def test_a_search_of_all_leaves_out_claims_that_tune_nothing_or_are_not_asked_at_the_scale(here, monkeypatch):
    mine = dataclasses.replace(CLAIMS["relu_sooner"], scales={"cifar10-2500": "proxy"})
    claims, made = {**CLAIMS, "mine": mine}, []
    monkeypatch.setattr(selection, "all_claims", lambda: claims)
    monkeypatch.setattr(selection, "get_claim", claims.get)
    monkeypatch.setattr("study.cli.search.load_known", lambda name: SimpleNamespace(fingerprint="0"))
    monkeypatch.setattr("study.plan.trials.planned_runs_of", lambda searches: [])
    monkeypatch.setattr("study.cli.search.searched", lambda searches, *_: bool(made.extend(searches)))
    assert main(["search", "all", "--scale", "cifar10-2500"]) == 0
    assert {search.asked.claim for search in made} == {"mine"}


def test_a_search_on_a_gpu_makes_as_many_trials_at_a_time_as_pay(here, monkeypatch):
    gpu, places = Machine(device="cuda", name="a GPU", precision="bf16", threads=8), []
    monkeypatch.setattr("study.cli.search.machine_of", lambda args: gpu)
    monkeypatch.setattr("study.cli.search.load_known", lambda name: SimpleNamespace(fingerprint="0"))
    monkeypatch.setattr("study.cli.search.check_can_be_trained", lambda *_: None)
    monkeypatch.setattr("study.run.at_once.jobs_that_pay", lambda planned_runs, machine: (5, ""))
    monkeypatch.setattr("study.cli.search.searched", lambda searches, place, _: bool(places.append(place)))
    assert main(["search", "relu_sooner", "--scale", "smoke"]) == 0
    assert [place.machine.jobs for place in places] == [5]


@pytest.mark.parametrize(
    ("command", "downloads"),
    [
        ({"verb": "plan"}, False),
        ({"verb": "settle", "plan": True}, False),
        ({"verb": "settle", "plan": False, "new_rule": True}, False),
        ({"verb": "settle", "plan": False, "new_rule": False}, True),
        ({"verb": "run"}, True),
    ],
)
def test_a_plan_takes_the_first_images_that_are_there_and_downloads_nothing(here, monkeypatch, command, downloads):
    asked = []
    monkeypatch.setattr("alexnet.data.cifar10.download", lambda folder: asked.append(folder) or "no network")
    scale, why = first_scale_there([CLAIMS["depth"]], argparse.Namespace(base=[], **command), on_gpu=False)
    assert scale == "" and bool(asked) == downloads
    missing = "no network" if downloads else "CIFAR-10 is not under data (170 MB to be downloaded)"
    assert why == f"{missing}; no folder data/cifar10-jpeg/train"
    (here / "data" / "cifar-10-batches-py").mkdir(parents=True)
    assert first_scale_there([CLAIMS["depth"]], argparse.Namespace(base=[], **command), False) == (
        "cifar10",
        "cifar10 is there",
    )


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_plan_and_a_run_take_the_images_that_are_there_before_any_that_could_be_downloaded(here, monkeypatch, verb, on_gpu):
    asked = []
    monkeypatch.setattr("alexnet.data.cifar10.download", lambda folder: asked.append(folder) or "")
    (here / "data" / "cifar10-jpeg" / "train").mkdir(parents=True)
    args = argparse.Namespace(claims=["depth", "relu_sooner"], scale=None, base=[], arms=[], verb=verb)
    assert {one.scale for one in select_claims(args, on_gpu)} == {"cifar10-jpeg"}
    assert not asked


def test_what_is_downloaded_for_one_claim_moves_no_other(here, monkeypatch):
    """They were chosen in the order of their names: the next would have taken CIFAR-10, which its plan had not found."""
    monkeypatch.setattr(
        "alexnet.data.cifar10.download", lambda folder: (folder / "cifar-10-batches-py").mkdir(parents=True) or ""
    )
    (here / "data" / "cifar10-jpeg" / "train").mkdir(parents=True)
    only = dataclasses.replace(CLAIMS["depth"], scales={"cifar10": "proxy"})
    monkeypatch.setattr(selection, "get_claim", lambda name: only if name == "depth" else CLAIMS[name])
    args = argparse.Namespace(claims=["depth", "relu_sooner"], scale=None, base=[], arms=[], verb="run")
    chosen = {one.name: (one.scale, one.why) for one in select_claims(args, on_gpu=False)}
    assert chosen["depth"] == ("cifar10", "cifar10 was downloaded")
    assert chosen["relu_sooner"][0] == "cifar10-jpeg"


ON_A_GPU = ["plan depth", "plan depth_own_rate", "run depth", "search depth_own_rate", "logits depth", "settle depth --plan"]


@pytest.mark.parametrize("line", ON_A_GPU)
def test_every_verb_on_a_gpu_takes_the_scale_that_a_run_takes(here, monkeypatch, line, capsys):
    """A search at another scale than its runs leaves them without a rate, and logits of others say nothing of them."""

    def load_known(name: str, download: bool = True):
        raise Refused(f"asked of {name}")

    gpu = Machine(device="cuda", name="a card", precision="bf16", threads=1)
    monkeypatch.setattr("alexnet.machine.detect", lambda *_: gpu)
    monkeypatch.setattr("alexnet.data.image_sets.available", lambda *_: "")
    for module in ("plan", "planning", "search", "logits", "settle_run"):
        monkeypatch.setattr(f"study.cli.{module}.load_known", load_known)
    monkeypatch.setattr("study.tracking.store.look_at_store", lambda: "")
    assert main(shlex.split(line)) == 2
    assert capsys.readouterr().err == "asked of tiny-imagenet-100\n"


@pytest.mark.parametrize("claims", ["depth", "all", "relu_sooner depth"])
@pytest.mark.parametrize(
    ("verb", "how"), [("run", ""), ("plan", "`DATA_DIR=mistyped {program} data pack cifar10` downloads cifar10, ")]
)
def test_made_up_images_are_never_taken_unasked(here, capsys, monkeypatch, claims, verb, how):
    """Also not where a download failed, or DATA_DIR was mistyped."""
    monkeypatch.setattr("alexnet.data.cifar10.download", lambda folder: "no network")
    monkeypatch.setenv("DATA_DIR", "mistyped")
    why = "no network" if verb == "run" else "CIFAR-10 is not under mistyped (170 MB to be downloaded)"
    assert refused(f"{verb} {claims}", capsys) == (
        f"SCALE: none named, and no images there ({why}; no folder mistyped/cifar10-jpeg/train); "
        f"{how.format(program=program())}--scale shapes takes small made-up ones\n"
    )
    assert not (here / "results").exists() and not (here / "spool").exists()


def test_what_make_offers_names_the_scale_where_the_claims_have_no_usual_one():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z0-9-]+):(.*)\n\t\$\(STUDY\) run ([a-z0-9_ ]+)$", makefile, re.M)
    assert len(targets) > 20
    for target, about, names in targets:
        known = [set(CLAIMS[name].scales) for name in names.split() if name != "all"]
        if any(not one & set(FALLBACK) for one in known):
            (scale,) = re.findall(r"SCALE=([a-z0-9-]+)", about)
            assert all(scale in one for one in known), target


def test_every_target_of_the_makefile_is_phony():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)
    assert set(phony.split()) == set(re.findall(r"^([a-z0-9-]+):(?!=).*## ", makefile, re.M))


def test_where_the_tables_have_no_run_of_a_scale_nothing_is_judged(tmp_path, monkeypatch):
    monkeypatch.setattr("study.judge.evidence.find", lambda *_, **__: pytest.fail("judged"))
    assert found_at(tmp_path, {"shapes"}) == ()
    for name in ("runs.csv", "digests.json"):
        shutil.copy(ROOT / "results" / name, tmp_path)
    assert found_at(tmp_path, {"shapes"}) == ()
    with pytest.raises(pytest.fail.Exception):
        found_at(tmp_path, {"shapes", "cifar10-jpeg"})


# ---- A field that a claim file leaves out --------------------------------------------------------------------------------


def needed(kind: type) -> list[str]:
    none = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(kind) if f.init and f.default is none and f.default_factory is none]


LEFT_OUT = [(where, kind, name) for where, noun in NOUNS.items() for kind in concrete(noun) for name in needed(kind)]


@pytest.mark.parametrize(("where", "kind", "name"), LEFT_OUT, ids=lambda one: one.__name__ if isinstance(one, type) else one)
def test_a_required_field_that_is_left_out_is_named(where, kind, name):
    with pytest.raises(TypeError) as error:
        kind(**{other: None for other in needed(kind) if other != name})
    assert miscalled(error.value) == f"{where}: {name} is missing ({kind.__name__} needs {', '.join(needed(kind))})"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            'control="dropout", treated="none", expected=1',
            r"claim\.rule: no_effect_within is missing \(DifferenceOfMeans needs",
        ),
        ('control="dropout"', r"claim\.rule: expected, no_effect_within, treated are missing"),
        ('control="dropout", treated="none", expected=1, no_efect_within=1', r"claim\.rule: .*did you mean no_effect_within"),
        ('"dropout"', r"claim\.rule: DifferenceOfMeans takes its fields by name"),
        ("**{int('x'): 1}", r"ValueError: "),
    ],
)
def test_a_claim_file_whose_rule_is_called_wrongly_is_told_which_field(tmp_path, monkeypatch, rule, words):
    text = f"from study.claims.dropout_error import *\nfrom study.questions.rules import *\nR = DifferenceOfMeans({rule})\n"
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.setenv("CLAIMS_DIR", str(tmp_path))
    line = str(read_claims()[1]["mine"])
    assert re.search(words, line) and line.startswith(f"{tmp_path}{os.sep}mine.py: ") and "__init__" not in line


def test_an_error_of_another_call_is_left_as_python_tells_it():
    assert miscalled(TypeError("f() missing 1 required positional argument: 'x'")) == ""
    assert miscalled(ValueError("Arm.__init__() missing 1 required positional argument: 'label'")) == ""


# ---- The names that are near -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["run", "list", "settle --runs 3", "plan"])
def test_the_claim_that_was_meant_stands_in_front_of_the_long_list(here, capsys, verb):
    verb, *options = verb.split()
    assert main([verb, "response_nrom", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("claim: 'response_nrom' is not one of ") and 0 < error.index("response_norm") < 80
    assert error.index("did you mean") < error.index("augmentation, averaged_nets, ") and "CLAIMS_DIR" not in error


@pytest.mark.parametrize("verb", ["run", "list", "settle --runs 3"])
@pytest.mark.parametrize("is_set", [False, True])
def test_a_name_like_no_claim_may_be_a_claim_of_the_users_own_whose_folder_is_not_named(
    here, capsys, monkeypatch, verb, is_set
):
    verb, *options = verb.split()
    monkeypatch.setenv("CLAIMS_DIR", str(here) if is_set else "")
    assert main([verb, "qqqq", *options]) == 2
    told = capsys.readouterr().err.endswith("; a claim of your own: CLAIMS_DIR=the folder of its file\n")
    assert told is not is_set


def test_a_scale_that_is_none_is_refused_with_the_own_images_that_are_there(here, capsys):
    folder = here / "data" / ".cache" / "own-pets-32px"
    folder.mkdir(parents=True)
    assert "own-pets" not in refused("plan depth --scale shape", capsys)  # not packed completely
    (folder / "manifest.json").touch()
    error = refused("plan depth --scale own-pets", capsys)
    assert error.endswith("; your own images that are there: own-pets-32px\n")
