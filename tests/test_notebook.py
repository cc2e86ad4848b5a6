"""docs/ask-your-own-question.ipynb, its cells run one after another as a notebook server runs them, on the smallest scale."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "ask-your-own-question.ipynb"


def cells(kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == kind]


def test_the_notebook_is_committed_without_outputs_and_its_cells_compile():
    content = json.loads(NOTEBOOK.read_text())
    assert content["nbformat"] == 4 and len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in content["cells"] if "outputs" in cell)
    for source in cells("code"):
        compile(source, str(NOTEBOOK), "exec")


def test_the_documents_that_it_points_to_are_there():
    links = [part.split(")")[0] for text in cells("markdown") for part in text.split("](")[1:]]
    assert links and all((NOTEBOOK.parent / link).is_file() for link in links)


SMALL = """
    bases={
        "SMALL": changed(FIGURE_1_A, {
            "model.layers": (Layer(outputs=2, kernel=5), Layer(kind="full", outputs=10)), "optim.stop_at_train_error": 0.0,
        })
    },
    scales={"smoke": "machinery"},
    measure="""


@pytest.mark.slow
def test_the_notebook_runs_from_the_claim_to_the_figure(tmp_path, monkeypatch, capsys):
    """With a network of two layers and one seed, to be quick; the claim is else the notebook's own, and the way the same."""
    claim = next(source for source in cells("code") if source.startswith("claim ="))
    told: dict = {"folder": tmp_path, "path": tmp_path}
    exec(claim.split("path = ")[0], told)
    text = "from alexnet.recipe import FIGURE_1_A, Layer, changed" + told["claim"].replace("    measure=", SMALL.lstrip("\n"))
    (tmp_path / "question" / "claims").mkdir(parents=True)
    (tmp_path / "question" / "claims" / "gelu.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    before = dict(os.environ)
    os.environ |= {"QUESTION_DIR": str(tmp_path / "question"), "QUESTION_SEEDS": "1"}
    try:
        for source in cells("code"):
            exec(compile(source, str(NOTEBOOK), "exec"), namespace)
    finally:
        os.environ.clear()
        os.environ.update(before)
    out = capsys.readouterr().out
    assert "With GELU instead of ReLU the error is lower (SMALL): " in out and "next: CLAIMS_DIR=" in out
    assert [arm.label for arm in namespace["found"][0].arms] == ["relu", "gelu"]
    assert namespace["pictures"] and all(path.is_file() for path in namespace["pictures"])
