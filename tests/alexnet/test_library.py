"""alexnet as a library: what it exports, and that it does not change its caller's process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import alexnet

ROOT = Path(__file__).parents[2]

SNAPSHOTS = """
import functools, importlib, json, logging, os, pkgutil, random, signal, socket, sys, threading, warnings
from pathlib import Path
import numpy, torch, torchvision.datasets, PIL.Image  # what they change is theirs

def snapshot():
    flags = {}
    for name in ("cudnn", "cuda.matmul", "mkldnn", "cuda"):
        part = torch.backends
        for word in name.split("."):
            part = getattr(part, word)
        for flag in ("enabled", "benchmark", "deterministic", "allow_tf32", "fp32_precision", "benchmark_limit"):
            if hasattr(part, flag):
                flags[f"{name}.{flag}"] = str(getattr(part, flag))
    return {
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "flags": flags,
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "default type": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "gradients": torch.is_grad_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "torch's generator": torch.random.get_rng_state().tolist(),
        "numpy's generator": str(numpy.random.get_state()),
        "python's generator": str(random.getstate()),
        "environment": dict(os.environ),
        "signal handlers": {str(s): str(signal.getsignal(s)) for s in signal.valid_signals()},
        "socket time-out": socket.getdefaulttimeout(),
        "warnings": [str(f) for f in warnings.filters],
        "logging": [logging.root.level, str(logging.root.handlers), logging.raiseExceptions, logging.root.manager.disable],
        "hooks": [str(sys.excepthook), str(threading.excepthook), sys.getrecursionlimit(), sys.getswitchinterval()],
        "folder": os.getcwd(),
        "module search path": sys.path,
    }

torch.set_num_threads(2)
snapshots = [snapshot()]
import alexnet
for module in pkgutil.walk_packages(alexnet.__path__, "alexnet."):
    if module.name != "alexnet.kernels.triton_kernels":  # can be imported only where Triton is
        importlib.import_module(module.name)
snapshots.append(snapshot())
alexnet.data.synthetic_shapes.make_shapes = functools.partial(alexnet.data.synthetic_shapes.make_shapes, 200, 100)
whole = alexnet.load("shapes", Path("nowhere"))
train, test = (whole.train_images[:160], whole.train_labels[:160]), (whole.test_images[:64], whole.test_labels[:64])
images = alexnet.ImageSet("few", *train, *test, "few")
recipe = alexnet.changed(alexnet.FIGURE_1_A, {
    "data.name": "shapes", "data.flip": True, "optim.batch_size": 32, "optim.epochs": 1,
    "optim.stop_at_train_error": 0.0, "model.layers.last.present": True, "model.layers.0.norm": "cross_map",
})
machine = alexnet.Machine(device="cpu", name="test", precision="bf16", threads=1)
during = []
history = alexnet.fit(recipe, 0, machine, images, lambda point: during.append(torch.get_num_threads()))
assert history.outcome == "finished" and during == [1]
snapshots.append(snapshot())
alexnet.AlexNet(alexnet.FIGURE_1_A, 3)
snapshots.append(snapshot())
print(json.dumps(snapshots))
"""


@pytest.mark.slow
def test_importing_every_module_and_training_change_nothing_of_the_callers_process():
    completed = subprocess.run([sys.executable, "-c", SNAPSHOTS], cwd=ROOT, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    before, imported, trained, built = json.loads(completed.stdout.splitlines()[-1])
    assert imported == before
    assert trained == before
    assert built == before


def test_everything_that_is_exported_is_there_and_says_what_it_is():
    for name in alexnet.__all__:
        exported = getattr(alexnet, name)
        if not name.isupper() and not name.replace("_", "").isupper() and not isinstance(exported, alexnet.Recipe):
            assert exported.__doc__, name
