"""Loads the network of a finished run, with its trained weights, by the run's key."""

from pathlib import Path

from alexnet.errors import Refused
from alexnet.model.network import AlexNet
from alexnet.recipe import from_dict
from alexnet.training.checkpoint import kept_weights
from study.environment import spool_dir
from study.run.result import RESULT, DamagedResult
from study.run.run_folder import KEY, result_in, state_of_run


def load_network(key: str, spool: Path | None = None) -> AlexNet:
    """Return the trained network of the run with this key (the column "key" of results/runs.csv), on the CPU in evaluation
    mode.

    `spool` is the directory of runs, by default SPOOL_DIR, else `spool`. The tables hold no weights: these are in the run's
    folder on the machine that trained it. Raises Refused if there is no such run, if it has no result, or if its weights are
    missing or were changed.
    """
    spool = spool_dir() if spool is None else Path(spool)
    if not KEY.fullmatch(key):
        raise Refused(f"key: {key!r} is not 16 hexadecimal digits, as in the column key of results/runs.csv")
    if not (folder := spool / key).is_dir():
        raise Refused(
            f"key: there is no folder {folder}; the tables hold no weights: copy it from the machine that trained the run, or "
            "train the run here, and set SPOOL_DIR to the directory of runs"
        )
    try:
        result = result_in(folder)
    except DamagedResult as damaged:
        raise Refused(f"{folder / RESULT}: {damaged}; `run` trains it again") from None
    if not result:
        state = state_of_run(folder)
        raise Refused(f"key: run {key} in {spool} has no result, it is {state.state} ({state.why}); `run` finishes it")
    network = AlexNet(from_dict(result.recipe), result.seed)
    network.load_state_dict(kept_weights(folder, result.weights_sha256))
    return network.eval()
