"""A user's own file, in a separate folder, passes the strict type checkers."""

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

from alexnet import ALEXNET_32, AlexNet, Feed, History, ImageSet, Machine, Recipe, changed, detect, fit, load, pack
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


def of_test_images(network: AlexNet, feed: Feed) -> Tensor:
    return torch.cat([features(network, views[:, 0]) for views, _ in feed.views(*feed.test)])


def errors(recipe: Recipe, images: ImageSet, machine: Machine) -> list[float]:
    history: History = fit(recipe, seed=0, machine=machine, images=images)
    return [point.running_error for point in history.points]


network = AlexNet(ALEXNET_32, classes=10)
images: ImageSet = load("shapes", Path("data"))
birds: ImageSet = pack("own-birds-32px", Path("data"), source=Path("birds"))
units: int = network.num_features
found: list[float] = errors(ALEXNET_32, birds, detect())
"""
WRONG = "from alexnet import ALEXNET_32, AlexNet\nAlexNet(ALEXNET_32, classes='ten')\n"
CONFIGURED = {
    "pyrightconfig.json": '{"typeCheckingMode": "strict"}',
    # Torch itself is not followed: half a minute, and nothing of it is asked here.
    "mypy.ini": "[mypy]\nstrict = true\ncache_dir = /dev/null\n[mypy-torch.*]\nfollow_imports = skip\n",
}
CHECKERS = {"basedpyright": "--pythonpath", "mypy": "--python-executable"}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_users_file_passes_the_strict_type_checker_and_a_wrong_one_does_not(tmp_path, checker):
    for name, content in {"right.py": TYPED, "wrong.py": WRONG, **CONFIGURED}.items():
        (tmp_path / name).write_text(content)
    command = [Path(sys.executable).with_name(checker), CHECKERS[checker], sys.executable, "right.py", "wrong.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    errors = [line for line in done.stdout.splitlines() if " error: " in line]
    assert [line for line in errors if "right.py" in line] == [], done.stdout + done.stderr
    assert len(errors) == 1 and "classes" in errors[0], done.stdout + done.stderr
