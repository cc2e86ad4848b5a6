"""Says which runs have no verdict because the file of their claim is not here, so that no report leaves them out silently."""

from pathlib import Path

from study.counted import counted
from study.judge.evidence import Findings
from study.questions.own_rates import question_of
from study.report.all_findings import page_of


def left_out_words(findings: Findings) -> str:
    """Return which runs have no verdict because the file of their claim is not here; empty if there are none."""
    if not (runs := sum(findings.left_out.values())):
        return ""
    one, names = len(findings.left_out) == 1, ", ".join(findings.left_out)
    belong, claims = "belongs" if runs == 1 else "belong", "a claim that is" if one else "claims that are"
    is_out, files = ("is", "its file") if one else ("are", "their files")
    return (
        f"{counted(runs, 'run')} {belong} to {claims} not here ({names}), which {is_out} therefore left out of the report: "
        f"name the folder of {files} in CLAIMS_DIR"
    )


def left_out_pages(findings: Findings, folder: Path) -> list[str]:
    """Return the pages, as paths in the folder, that earlier reports wrote about claims that are not here."""
    pages = dict.fromkeys(page_of(question_of(name)) for name in findings.left_out)
    return [page for page in pages if (folder / page).is_file()]
