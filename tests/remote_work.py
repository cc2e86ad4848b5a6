"""Work that tests give to the workers of an executor. Each worker imports this module and its imports."""

import os
import posix
import time

from study.run.queue import train


def work(word, place, report):
    report(word)
    if word == "raise":
        raise ValueError("as asked")
    if word == "die":
        os._exit(3)
    if word == "environment":
        started_with = posix.environ.items()  # os.environ may have changed since
        return os.getpid(), {os.fsdecode(name): os.fsdecode(value) for name, value in started_with}
    return word * 2


def train_slowly(planned, place, report):
    """Train a run that reports its node at each epoch and lasts long enough for the node to be lost meanwhile."""
    import ray

    def tell(point):
        report((point.epoch, ray.get_runtime_context().get_node_id()))
        time.sleep(0.5)

    return train(planned, place, tell)
