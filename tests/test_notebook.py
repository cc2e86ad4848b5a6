"""docs/ask-your-own-question.ipynb: as it is committed."""

import json
from pathlib import Path

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
