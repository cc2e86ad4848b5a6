"""A user's own file, in a folder of its own, under the strict type checker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TYPED = """
from pathlib import Path

import torch
from torch import Tensor

from alexnet import ALEXNET_32, AlexNet, Feed, ImageSet, Recipe, changed, load
from study import load_network


def fine_tune(key: str, images: ImageSet, classes: int) -> AlexNet:
    network: AlexNet = load_network(key, Path("spool"))
    network.reset_classifier(classes)
    recipe: Recipe = changed(ALEXNET_32, {"optim.batch_size": 32})
    feed = Feed(recipe, images, seed=0)
    optimizer = torch.optim.SGD(network.get_classifier().parameters(), lr=0.01)
    for step in range(feed.steps_per_epoch):
        pixels, labels = feed.batch(step)
        network.begin_step(seed=0, step=step)
        loss: Tensor = torch.nn.functional.cross_entropy(network(pixels), labels)
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]  # untyped in torch itself
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]  # untyped in torch itself
    return network


def features(network: AlexNet, pixels: Tensor) -> Tensor:
    return network.forward_head(network.forward_features(pixels), pre_logits=True)


network = AlexNet(ALEXNET_32, classes=10)
images: ImageSet = load("shapes", Path("data"))
units: int = network.num_features
"""
WRONG = "from alexnet import ALEXNET_32, AlexNet\nAlexNet(ALEXNET_32, classes='ten')\n"


@pytest.mark.slow
def test_a_users_file_passes_the_strict_type_checker_and_a_wrong_one_does_not(tmp_path):
    (tmp_path / "right.py").write_text(TYPED)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    checker = [Path(sys.executable).with_name("basedpyright"), "--pythonpath", sys.executable, "right.py", "wrong.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(checker, cwd=tmp_path, env=environment, capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if " - error: " in line]
    assert [line for line in told if "right.py" in line] == [], done.stdout + done.stderr
    assert len(told) == 1 and "classes" in told[0], done.stdout + done.stderr
