"""Writes verdicts as data: results/verdicts.json and .csv, and what `--json` prints. Only this module defines a record.

verdicts.schema.json in this folder describes the file. A record holds numbers, the rule and the keys of its runs. It has no
time stamp, so the same tables give the same bytes.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from alexnet import __version__
from alexnet.errors import Refused
from alexnet.files import write_atomically
from study.judge.decision import Look
from study.judge.evidence import Findings, find
from study.judge.family import Finding
from study.judge.replications import Replicated
from study.output import without_nan
from study.plan import results_folder
from study.plan.fixed_rules import what_is_judged
from study.report import phrases, sentences

FORMAT = 3
"""Increases when a field is renamed, removed or gets another meaning; fields may be added. Format 2 had no files."""
FILE, TABLE, SCHEMA = "verdicts.json", "verdicts.csv", "verdicts.schema.json"
SOFTWARE = ("torch", "python", "git_commit", "numerics")
"""Columns of runs.csv that say what software a run was trained with."""
EFFECTS = ("ratio", "difference", "share")
SHOWN = ("estimate", "lower", "upper", "seen", "runs")
"""Fields of an effect that its words show."""
AGAIN = "`python -m study report` writes it again"

Record = Mapping[str, Any]


# ---- Records ---------------------------------------------------------------------------------------------------------


def records(findings: Findings, of: Iterable[Finding] | None = None) -> list[dict[str, Any]]:
    """Return a record for each finding, or only for those in `of`."""
    runs = findings.runs
    columns = [runs[name].tolist() for name in ("key", "machine", *SOFTWARE)]
    rows: dict[tuple[str, str], dict[str, Any]] = {
        (key, machine): dict(zip(SOFTWARE, used, strict=True)) for key, machine, *used in zip(*columns, strict=True)
    }
    return [as_json(one, rows) for one in (findings.found if of is None else of)]


def as_json(finding: Finding, software: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """Return a finding as JSON; NaN and infinity become null. `software`: the values of SOFTWARE for each run, by key and
    machine."""
    content, verdict, reported = dataclasses.asdict(finding.verdict), finding.verdict, finding.claim.reported
    del content["look"]
    if not verdict.more_seeds_of:
        del content["more_seeds_of"]
    judged = what_is_judged(finding.claim, finding.base, finding.scale)
    names = [run.name for arm in finding.arms for run in arm.runs]
    return without_nan({
        "format": FORMAT,
        "id": "/".join((finding.claim_name, finding.scale, finding.base, finding.fingerprint)),
        "claim": finding.claim_name,
        "title": finding.claim.title,
        "scale": finding.scale,
        "role": finding.role,
        "base": finding.base,
        "machines": finding.machines,
        "data": finding.data,
        "data_fingerprint": finding.fingerprint,
        "measured": phrases.measured(finding.claim.measure),
        "unit": finding.claim.measure.unit,
        "reported": {**dataclasses.asdict(reported), "words": phrases.reported_words(finding.claim)},
        "verdict": {
            **content,
            "words": sentences.verdict_words(finding),
            "effect": _effect(verdict.effect),
            "narrow": _effect(verdict.narrow) if verdict.narrow else None,
            "look": _look(verdict.look),
            "is_final": verdict.is_final,
            "why": sentences.why(finding),
        },
        "rule": {
            **{name.replace(" ", "_"): value for name, value in judged.items()},
            "fixed_on": finding.rule.fixed_on if finding.rule else None,
            "first_seed": finding.first_seed,
            "looks": dataclasses.asdict(finding.looks),
        },
        "claims_in_family": finding.claims_in_family,
        **({"replications": [replication_json(one) for one in finding.replications]} if finding.replications else {}),
        "other_errors": {of: _effect(effect) for of, effect in finding.other_errors.items()},
        "arms": {
            arm.label: {
                "learning_rate": arm.rate,
                **{many: [getattr(run, one) for run in arm.runs] for many, one in OF_EACH_RUN.items()},
            }
            for arm in finding.arms
        },
        "versions": {name: sorted({software[run][name] for run in names if run in software}) for name in SOFTWARE},
    })  # fmt: skip


OF_EACH_RUN = {
    "seeds": "seed",
    "machines": "machine",
    "keys": "key",
    "weights_sha256": "weights",
    "outcomes": "outcome",
    "values": "value",
}
"""Names of the lists that hold a value for every run of an arm, and the run's field."""
BESIDE_A_LOOK = ("effect", "narrow", "by_direction")


def _look(look: Look) -> dict[str, Any]:
    """Return a look without its effects, which the record has separately, and without the looks at other arms. The shuffled
    data are replaced by their p value. An interval over seeds alone has no error of test images."""
    over_images = {} if look.test_images else {"image_error": None, "test_images": None}
    fields: dict[str, Any] = {}
    for name, value in {**dataclasses.asdict(look), **over_images}.items():
        if name == "shuffled":
            fields |= {"permutation_p": look.permutation_p, "permutation_floor": look.permutation_floor}
        elif name not in BESIDE_A_LOOK:
            fields[name] = value
    return fields


def replication_json(one: Replicated) -> dict[str, Any]:
    """Return a replication with its rule."""
    return {
        **dataclasses.asdict(one.rule),
        "outcome": one.outcome,
        "pairs_there": one.pairs,
        "pairs_without_result": one.without_result,
        "effect": _effect(one.effect) if one.effect else None,
        "bound": one.bound,
        "machines": one.machines,
    }


def _effect(effect: Any) -> dict[str, Any]:
    return {"kind": type(effect).__name__.lower(), "estimate": effect.estimate, **dataclasses.asdict(effect)}


# ---- Files -----------------------------------------------------------------------------------------------------------


def write_verdicts(folder: Path, findings: Findings) -> list[Path]:
    """Write verdicts.json and verdicts.csv for the tables of `folder`. Returns both paths."""
    verdicts = records(findings)
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "alexnet_study": __version__,
        "tables": results_folder.digests_of(folder),
        "runs": len(findings.runs),
        "verdicts": verdicts,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE, (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    write_atomically(folder / TABLE, _csv(verdicts))
    return [folder / FILE, folder / TABLE]


def read_verdicts(path: Path, can_be_made_anew: bool = True) -> dict[str, Record]:
    """Return the records of a verdicts.json by their ids. Raises Refused, naming the file, if it is missing, damaged or of
    another format. `can_be_made_anew`: whether it is the file that `report` writes, which the message then says."""
    try:
        return {record["id"]: record for record in _content(path)["verdicts"]}
    except Refused as refused:
        if can_be_made_anew:
            raise
        raise Refused(str(refused).removesuffix(f"; {AGAIN}")) from None


def verdicts_of(folder: Path) -> tuple[dict[str, Record], bool]:
    """Return the records of a folder of results by their ids, and whether they were read. They are read from its verdicts.json
    if that was made from the present tables; otherwise the tables are judged now."""
    if (folder / FILE).is_file() and _content(folder / FILE)["tables"] == results_folder.digests_of(folder):
        return read_verdicts(folder / FILE), True
    return {record["id"]: record for record in records(find(folder))}, False


def _content(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{path}: no such file; {AGAIN}") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None
    parsed = results_folder.json_of(path, content)
    if not isinstance(parsed, dict) or type(parsed.get("format")) is not int:
        raise Refused(f"{path}: damaged (no format); {AGAIN}")
    if parsed["format"] != FORMAT:
        newer = parsed["format"] > FORMAT
        raise Refused(f"{path}: its format is {parsed['format']}, not {FORMAT}; {'update the code' if newer else AGAIN}")
    if why := _misshapen(parsed):
        raise Refused(f"{path}: damaged ({why}); {AGAIN}")
    return parsed


def _misshapen(parsed: Mapping[str, Any]) -> str:
    """Return what in verdicts.json `check` and `diff` cannot use, in words; empty if nothing. The schema is stricter."""
    if not isinstance(parsed.get("tables"), dict) or not isinstance(parsed.get("verdicts"), list):
        return "no digests of tables, or no list of verdicts"
    seen: set[str] = set()
    for number, record in enumerate(parsed["verdicts"], 1):
        if not isinstance(record, dict) or not isinstance(name := record.get("id"), str):
            return f"verdict {number} has no id"
        if name in seen:
            return f"{name} is there twice"
        seen.add(name)
        verdict = record.get("verdict")
        if not isinstance(verdict, dict) or not all(isinstance(verdict.get(text), str) for text in ("direction", "words")):
            return f"{name} has no verdict"
        if not isinstance(contrasts := verdict.get("contrasts") or {}, dict):
            return f"the contrasts of {name} are not effects by their names"
        effects = {"effect": verdict.get("effect"), **contrasts}
        if wrong := [kind for kind, effect in effects.items() if not _is_effect(effect)]:
            return f"the {wrong[0]} of {name} has no estimate with its limits"
        if verdict["effect"].get("kind") not in EFFECTS:
            return f"the effect of {name} is none of {', '.join(EFFECTS)}"
    return ""


def _is_effect(effect: Any) -> bool:
    if not isinstance(effect, dict) or effect.get("bound") not in (None, *phrases.BOUNDS):
        return False
    return all(effect.get(name) is None or type(effect[name]) in (int, float) for name in SHOWN)


# ---- The table -------------------------------------------------------------------------------------------------------


def _csv(verdicts: Iterable[Record]) -> bytes:
    """Return one row per verdict, for a spreadsheet. Unknown values are empty."""
    rows = [_row(record) for record in verdicts]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])
    return text.getvalue().encode()


COLUMNS = (
    "id", "claim", "title", "scale", "role", "base", "data", "data_fingerprint", "machines", "direction", "size", "words",
    "measured", "unit", "effect", "estimate", "lower", "upper", "level", "lower_90", "upper_90", "p", "holm_p", "p_no_effect",
    "reported_value", "reported_precision", "where", "rule", "control", "treated", "margin", "looks_taken", "looks_planned",
    "more_seeds", "runs", "keys",
)  # fmt: skip


def _row(record: Record) -> dict[str, Any]:
    verdict, rule, reported = record["verdict"], record["rule"], record["reported"]
    narrow, keys = verdict["narrow"] or {}, [key for arm in record["arms"].values() for key in arm["keys"]]
    same = ("id", "claim", "title", "scale", "role", "base", "data", "data_fingerprint", "measured", "unit")
    decided = ("direction", "size", "words", "p", "holm_p", "p_no_effect", "looks_taken", "looks_planned", "more_seeds")
    return {
        **{name: record[name] for name in same},
        **{name: verdict[name] for name in decided},
        **{name: verdict["effect"][name] for name in ("estimate", "lower", "upper", "level")},
        "machines": "; ".join(record["machines"]),
        "effect": verdict["effect"]["kind"],
        "lower_90": narrow.get("lower"),
        "upper_90": narrow.get("upper"),
        "reported_value": reported["value"],
        "reported_precision": reported["precision"],
        "where": reported["where"],
        "rule": rule["rule"],
        "control": rule["control"],
        "treated": verdict["look"]["treated"],
        "margin": rule.get("margin"),
        "runs": len(keys),
        "keys": " ".join(keys),
    }
