"""docs/ask-your-own-question.ipynb, its cells run in order as on a notebook server, on the smallest scale."""

import json
import os
import shutil
from pathlib import Path

import pytest

from study.questions.scales import SCALES, Scale

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


TINY = Scale(
    diff={"data.name": "shapes", "data.train_images": 256, "optim.batch_size": 32, "optim.epochs": 2},
    side=32,
    train_images=256,
    seeds=1,
    about="stand-in data: two passes over 256 images",
    best_role="machinery",
)


@pytest.mark.slow
def test_the_notebook_runs_from_the_claim_to_the_figure(tmp_path, monkeypatch, capsys, empty_mlflow):
    """With a network of one convolution, one seed and a scale of two epochs, to be quick; the rest is the notebook's own."""
    claim = next(source for source in cells("code") if source.startswith("claim ="))
    names: dict = {}
    exec(claim.partition("path = ")[0], names)
    layers = '"model.layers": (Layer(outputs=4, kernel=5, padding=2), Layer(kind="full", outputs=10))'
    net = f'{layers}, "model.init": "torch", "model.columns": 1'
    small = f'bases={{"SMALL": changed(ALEXNET_32, {{{net}}})}},\n    scales={{"tiny": "machinery"}},\n    measure='
    folder = tmp_path / "question"
    (folder / "claims").mkdir(parents=True)
    text = "from alexnet.recipe import ALEXNET_32, Layer, changed\n" + names["claim"].replace("measure=", small)
    (folder / "claims" / "gelu.py").write_text(text)
    shutil.copy(empty_mlflow, folder)
    monkeypatch.setitem(SCALES, "tiny", TINY)
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    before = dict(os.environ)
    os.environ |= {"QUESTION_DIR": str(folder), "QUESTION_SEEDS": "1", "QUESTION_SCALE": "tiny"}
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
