"""What others may reach, read or run: nothing that was not asked for."""

import ast
import html.parser
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_result, small_run, whole_report

from alexnet.errors import Refused
from alexnet.machine import Machine
from study.cli.main import main
from study.output import in_a_line, redacted
from study.plan.plan import make_plan
from study.plan.tuned import Tuned
from study.record import tables
from study.report.pages import in_markdown, write_report
from study.run.executors.base import worker_environment
from study.run.one_run import NO_TELEMETRY, Place
from study.run.result import sealed

ROOT = Path(__file__).parents[3]
MACHINE = Machine(device="cpu", name="test machine", precision="fp32", threads=1)
SOURCES = [path for package in ("alexnet", "study", "benchmarks", "tests") for path in sorted((ROOT / package).rglob("*.py"))]

# ---- What is read ----------------------------------------------------------------------------------------------------


def calls_of(path: Path, name: str):
    text = path.read_text()
    if name.rpartition(".")[2] in text:  # to parse every source takes seconds
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield {word.arg: ast.unparse(word.value) for word in node.keywords}


def test_errors_are_cut_to_a_line_in_one_place_of_the_study_which_hides_passwords():
    own = [path for path in SOURCES if path.is_relative_to(ROOT / "study")]
    cut = [path.name for path in own if re.search(r"__name__\}: \{\(?str\(error\)|str\(error\)\.strip\(\)", path.read_text())]
    assert cut == ["output.py"]


@pytest.mark.parametrize("name, word, value", [("torch.load", "weights_only", "True"), ("np.load", "allow_pickle", "False")])
def test_no_file_is_read_in_a_way_that_could_run_it(name, word, value):
    found = [(path.name, call) for path in SOURCES for call in calls_of(path, name)]
    assert len(found) >= 2
    loose = [path for path, call in found if call.get(word) != value]
    assert set(loose) <= {"test_checkpoint.py", "test_tools.py"}, loose  # which try it on purpose


def test_no_source_unpickles_or_evaluates_a_text():
    for path in SOURCES:
        if "tests" not in path.parts:
            assert not re.search(
                r"pickle\.loads?\(|\bmarshal\b|\bshelve\b|(?<!\.)\beval\(|(?<!\.)\bexec\(", path.read_text()
            ), path


# ---- What is written -------------------------------------------------------------------------------------------------

TAG = "<script>alert(1)</script>"
CLAIM_OF_A_STRANGER = f'''
from alexnet.recipe import ALEXNET_32
from study.questions.claim import Arm, Claim, Reported
from study.questions.measures import AtEnd
from study.questions.rules import DifferenceOfMeans

CLAIM = Claim(
    title="""{TAG} | `a` [b](javascript:alert(2))
# c $\\\\frac{{ $ """,
    command="python -m study run stranger",
    reported=Reported(what="{TAG}|", value=None, where="<img|src=x>"),
    bases={{"{TAG}|": ALEXNET_32}},
    default_bases=("{TAG}|",),
    arms=(Arm("relu"), Arm("<b>|$x^$<script>", {{"model.activation": "tanh"}})),
    default_arms=("relu", "<b>|$x^$<script>"),
    scales={{"cifar10-jpeg": "proxy"}},
    tune={{}},
    measure=AtEnd("test_error"),
    rule=DifferenceOfMeans(treated="<b>|$x^$<script>", control="relu", expected=-1, no_effect_within=0.5),
)
'''


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def strangers_report(tmp_path_factory) -> Path:
    tmp_path, monkeypatch = tmp_path_factory.mktemp("stranger"), pytest.MonkeyPatch()
    (tmp_path / "stranger.py").write_text(CLAIM_OF_A_STRANGER)
    monkeypatch.setenv("CLAIMS_DIR", str(tmp_path))
    planned_runs = make_plan("stranger", "cifar10-jpeg", "f00dfeed0000", Tuned(), seeds=3)
    runs = [replace(made_up_result(run, None, machine=TAG), test_error=0.3 + 0.001 * run.seed) for run in planned_runs]
    runs = [replace(run, software=replace(run.software, git_commit=f"{TAG}|")) for run in runs]
    tables.merge(tmp_path / "results", runs)
    write_report(tmp_path / "results")
    monkeypatch.undo()
    return tmp_path / "results"


@pytest.mark.slow
def test_names_are_texts_in_the_page(strangers_report):
    page = (strangers_report / "report.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    tags = Tags(page).found
    assert [tag for tag, _ in tags].count("script") == 1  # its own
    assert all(a["src"].startswith("figures/") for tag, a in tags if tag == "img")
    assert not [a for _, a in tags if any(name.startswith("on") for name in a)]
    assert all(a["href"].startswith(("#", "figures/")) for tag, a in tags if tag == "a")


def test_names_are_texts_in_the_tables_of_markdown(strangers_report):
    lines = whole_report(strangers_report).splitlines()
    assert any(r"\<script>" in line for line in lines)
    assert not [line for line in lines if re.search(r"(?<!\\)<(script|img|b>)|(?<!\\)`a|\]\(javascript", line)]
    assert not [line for line in lines if line.startswith("# c")]
    for i, line in enumerate(lines):
        if re.fullmatch(r"\|( --- \|)+", line):
            rows = [line, *lines[i - 1 : i]]
            while i + 1 < len(lines) and lines[i + 1].startswith("|"):
                rows.append(lines[i := i + 1])
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, rows


def test_a_number_or_a_plain_text_is_left_alone_in_markdown():
    assert in_markdown("x1.8 [1.5, 2.1], p 0.01 (a_b)") == "x1.8 [1.5, 2.1], p 0.01 (a_b)"
    assert in_markdown(3) == 3


# ---- Passwords -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:geheim@host:5432/db",
        "postgresql+psycopg://user:geheim@host/db?sslmode=require",
        "cannot reach 'postgresql://user:ge@geheim/geheim@host/db' (refused)",
        "http://user:geheim@host:5000",
        "postgresql://user:2012/geheim@host/db",
        "postgresql://user:ge'geheim@host/db",
        "https://geheim@host/mlflow",
        "host=h user=u password=geheim dbname=d",
        "postgresql://host/db?user=u&password=geheim&x=1",
    ],
)
def test_a_password_is_not_told(text):
    assert "geheim" not in redacted(text) and "host" in redacted(text) and "***" in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////tmp/mlflow.db",
        "http://127.0.0.1:5000/#/a@b",
        "a: b@c",
        "postgresql://host/db",
        "choose postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///FILE",
    ],
)
def test_what_holds_no_password_is_told_as_it_is(text):
    assert redacted(text) == text


def test_a_refusal_is_told_as_it_is_and_any_other_error_by_its_type():
    words = f"tuned.json: damaged, line 3 of postgresql://u:geheim@host/db; {'delete it, ' * 20}"
    assert in_a_line(Refused(words)) == words.replace("geheim", "***")
    assert in_a_line(OSError("disk full\nin short")) == "OSError: disk full"


def test_a_password_is_not_told_where_a_long_line_is_cut_inside_it():
    error = RuntimeError("x" * 140 + " postgresql://u:geheim-geheim-geheim@host/db")
    assert "geheim" not in in_a_line(error) and len(in_a_line(error)) < 200


# ---- Who is called ---------------------------------------------------------------------------------------------------


def test_workers_are_told_to_send_no_telemetry(monkeypatch, capsys):
    for name in NO_TELEMETRY:
        monkeypatch.delenv(name, raising=False)
    variables = worker_environment(Place(MACHINE, ROOT, ROOT))
    assert {name: variables[name] for name in NO_TELEMETRY} == NO_TELEMETRY
    assert main(["describe", "PAPER"]) == 0
    assert {name: os.environ[name] for name in NO_TELEMETRY} == NO_TELEMETRY  # what workers of this machine inherit


@pytest.mark.parametrize("name", ["DAMAGED", "LINKS", "CLAIMS_DIR", "ALEXNET_COMPILED", *NO_TELEMETRY])
def test_what_a_user_set_a_worker_on_another_machine_has_too(monkeypatch, name):
    monkeypatch.setenv(name, "as set")
    assert worker_environment(Place(MACHINE, ROOT, ROOT))[name] == "as set"


CALLS = """
import json, sys
called = []
def hear(event, arguments):
    if event == "socket.connect":
        called.append(str(arguments[1]))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        called.append(str(arguments[0]))
sys.addaudithook(hear)
from study.cli.main import main
codes = [main(verb) for verb in (["record"], ["table"], ["report"], ["status"], ["list"])]
import socket, time
time.sleep(2)  # what is sent in the background
heard, called = called, []
try: socket.create_connection(("127.0.0.1", 9), 1)
except OSError: pass
print(json.dumps([codes, heard, len(called)]))
"""


@pytest.mark.slow
def test_recording_and_reporting_call_nobody(tmp_path):
    result = made_up_result(small_run())
    (tmp_path / "spool" / result.key).mkdir(parents=True)
    (tmp_path / "spool" / result.key / "result.json").write_bytes(sealed(result))
    hidden = (
        "CI",
        "GITHUB_ACTIONS",
        "PYTEST_CURRENT_TEST",
        "MLFLOW_TRACKING_URI",
        *NO_TELEMETRY,
    )  # with which mlflow is silent
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", CALLS],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT), "RESULTS_DIR": "results"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    codes, called, heard = json.loads(done.stdout.splitlines()[-1])
    assert codes == [0] * 5 and heard
    assert [address for address in called if not re.search(r"127\.0\.0\.1|localhost|::1|^/|socket", address)] == []
