"""docs/library.md, "In your own code": its code blocks run in order, on the folder of an untrained run and a few images."""

import csv
import functools
import re
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import write_run
from PIL import Image

from alexnet import ALEXNET_32, changed
from study.plan.plan import PlannedRun

ROOT = Path(__file__).parent.parent
SECTION = (ROOT / "docs" / "library.md").read_text().partition("\n## In your own code\n")[2].partition("\n## ")[0]
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n(?:^\n(?=    ))?)+", SECTION, re.M)]
(KEY,) = re.findall(r'load_network\("(.*?)"\)', SECTION)


def test_the_key_on_the_page_is_that_of_a_run_in_the_tables():
    with (ROOT / "results" / "runs.csv").open() as file:
        found = {(row["base"], row["arm"], row["data"]) for row in csv.DictReader(file) if row["key"] == KEY}
    assert ("ALEXNET_32", "2012", "cifar10-jpeg") in found


def test_fine_tuning_takes_at_most_20_lines():
    (block,) = [block for block in BLOCKS if "optimizer.step()" in block]
    assert len([line for line in block.splitlines() if line.strip()]) <= 20


@pytest.mark.slow
def test_the_blocks_of_the_page_run_one_after_another(tmp_path, monkeypatch, one_thread):
    """All as it stands but for the key, which is a narrower network's, and for the compiler, which stops after its graph."""
    recipe = changed(ALEXNET_32, {"model.width": 0.0625})
    planned = PlannedRun("fidelity", "cifar10-jpeg", "ALEXNET_32", "2012", 0, recipe, "0")
    write_run(tmp_path / "spool", planned, weights_seed=1)
    rng = np.random.default_rng(0)
    for label in range(10):
        (tmp_path / "birds" / f"class {label}").mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "birds" / f"class {label}" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        for block in BLOCKS:
            exec(compile(block.replace(KEY, planned.key), "docs/library.md", "exec"), names)
    network, pixels = names["network"], names["pixels"]
    assert pixels.shape == (32, 3, 28, 28) and network.num_classes == 10
    assert names["features"](*names["feed"].test)[0].shape == (20, network.num_features)  # two images of eight, of ten classes
    assert 0 <= names["accuracy"] <= 1
    expected = network(pixels).detach()
    torch.testing.assert_close(names["logits"].detach(), expected, rtol=1e-5, atol=1e-6)  # torch's own operations, compiled
    onnxruntime = pytest.importorskip("onnxruntime", reason="no onnxruntime")
    session = onnxruntime.InferenceSession("network.onnx")
    for count in (1, 32):
        (logits,) = session.run(None, {session.get_inputs()[0].name: pixels[:count].contiguous().numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), expected[:count], rtol=1e-4, atol=1e-4)
