"""`check` and `diff`: compare verdicts with those written before, or between two folders or commits."""

import argparse
import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import Refused
from study.cli.arguments import Verbs, add_verb, json_option, path_of
from study.cli.console import command_line, print_json
from study.counted import counted
from study.environment import path_named, results_dir, there
from study.plan import results_folder
from study.questions.rules import Factorial

if TYPE_CHECKING:
    from study.report.verdict_files import Record

MOST_NAMED = 4
"""How many changed values of one verdict are printed; `--json` has all."""


def add_to(verbs: Verbs) -> None:
    text = "judge the tables again and compare with the verdicts that were written: exit code 0 equal, 1 changed"
    parser = add_verb(verbs, "check", check, text, json_option())
    parser.add_argument(
        "file",
        type=path_of("FILE"),
        nargs="?",
        metavar="FILE",
        help="default: verdicts.json in the folder of results (RESULTS_DIR)",
    )
    text = "show new, gone and changed verdicts, and numbers that moved beyond their intervals: exit code 0 equal, 1 not"
    parser = add_verb(verbs, "diff", diff, text, json_option())
    parser.add_argument("before", metavar="A", help="a folder of results, or a commit")
    parser.add_argument("after", metavar="B", nargs="?", help="the same; default: the folder of results (RESULTS_DIR)")


# ---- check -----------------------------------------------------------------------------------------------------------


def check(args: argparse.Namespace) -> int:
    from study.judge.evidence import find
    from study.report.verdict_changes import changes_between
    from study.report.verdict_files import FILE, read_verdicts, records

    folder = there(results_dir(), "RESULTS_DIR")
    path = args.file or folder / FILE
    can_be_made_anew = path.absolute() == (folder / FILE).absolute()
    written = read_verdicts(path, can_be_made_anew)
    if not (folder / "runs.csv").is_file():
        raise Refused(f"RESULTS_DIR: no runs.csv in {folder}")
    changes = changes_between(written, {record["id"]: record for record in records(find(folder))})
    if args.json:
        print_json(changes.as_json)
        return int(changes.any)
    for what, names in (("new", changes.new), ("gone", changes.gone)):
        for name in names:
            print(f"{what:<8} {name}")
    for name, found in changes.changed.items():
        more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        print(f"changed  {name}: {'; '.join(change.words for change in found[:MOST_NAMED])}{more}")
    if changes.any:
        anew = f"; `{command_line('report')}` writes it again" if can_be_made_anew else ""
        print(f"{path} is not what the tables of {folder} say{anew}")
    else:
        print(f"{_counted(written)}, as in {path}")
    return int(changes.any)


# ---- diff ------------------------------------------------------------------------------------------------------------


def diff(args: argparse.Namespace) -> int:
    from study.report.verdict_changes import changes_between, effect_of
    from study.report.verdict_files import verdicts_of

    compared, said = [], []
    for written in (args.before, args.after or str(there(results_dir(), "RESULTS_DIR"))):
        with results_at(written) as folder:
            try:
                found, were_read = verdicts_of(folder)
            except Refused as error:
                raise Refused(f"{written}: {str(error).replace(str(folder), written)}") from None
        compared.append(found)
        said.append(f"{written} ({_counted(found)}, {'as written' if were_read else 'judged now'})")
    changes = changes_between(*compared)
    if args.json:
        print_json(changes.as_json)
        return int(changes.any)
    print(f"From {said[0]} to {said[1]}:")
    for what, names in (("new", changes.new), ("gone", changes.gone)):
        for name, record in names.items():
            print(f"{what:<8} {name}: {record['verdict']['words']}, {effect_of(record)}")
    others = changes.other_verdicts
    for name, (before, after) in others.items():
        numbers = f"{effect_of(before)} -> {effect_of(after)}"
        print(f"verdict  {name}: {before['verdict']['words']} -> {after['verdict']['words']}; {numbers}")
    for name, moved in changes.moved.items():
        for one in moved:
            print(f"moved    {name}{f', {one.what}' if one.what else ''}: {one.before} -> {one.after}, beyond its interval")
    small = [name for name in changes.changed if name not in others and name not in changes.moved]
    for name in small:
        print(f"numbers  {name}: {effect_of(changes.both[name][0])} -> {effect_of(changes.both[name][1])}, within its interval")
    print(f"the same: {_counted({name: one for name, (one, _) in changes.both.items() if name not in changes.changed})}")
    return int(changes.any)


def _counted(verdicts: "Mapping[str, Record]") -> str:
    """Return how many there are, as REPORT.md counts them: a design of several parts is no finding."""
    designs = sum(record["rule"]["rule"] == Factorial.__name__ for record in verdicts.values())
    findings = counted(len(verdicts) - designs, "finding")
    return f"{findings} and {counted(designs, 'factorial design')}" if designs else findings


@contextlib.contextmanager
def results_at(written: str) -> Iterator[Path]:
    """Yield the folder of results that a user named. For a commit of this repository it is a temporary folder with the commit's
    files. Raises Refused for what is neither a folder of results nor a commit with one."""
    if path_named(written, "diff").is_dir():
        if not (Path(written) / "runs.csv").is_file():
            raise Refused(f"{written}: no runs.csv in it; name a folder of results, or a commit")
        yield Path(written)
        return
    from study.report.verdict_files import FILE

    where = _folder_in_repository()
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{written}^{{commit}}")
    if commit is None:
        raise Refused(f"{written}: neither a folder of results nor a commit")
    name = commit.decode().strip()
    listed = _git("ls-tree", "--name-only", name, f"{where}/") or b""
    there = [Path(line).name for line in listed.decode().splitlines()]
    if "runs.csv" not in there:
        raise Refused(f"{written}: that commit has no {where}/runs.csv")
    with tempfile.TemporaryDirectory() as folder:
        for file in (*results_folder.FILES, results_folder.DIGESTS, FILE):
            if file in there and (content := _git("show", f"{name}:{where}/{file}")) is not None:
                (Path(folder) / file).write_bytes(content)
        yield Path(folder)


def _folder_in_repository() -> str:
    """Return the folder of results as a path within the repository."""
    top = _git("rev-parse", "--show-toplevel")
    folder = results_dir().absolute()
    if top is not None and folder.resolve().is_relative_to(Path(top.decode().strip()).resolve()):
        return folder.resolve().relative_to(Path(top.decode().strip()).resolve()).as_posix()
    return "results"


def _git(*words: str) -> bytes | None:
    """Run git in the root of the working folder's repository. Returns what it prints; None where it fails."""
    try:
        top = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, check=True).stdout.decode().strip()
        return subprocess.run(["git", "-C", top, *words], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
