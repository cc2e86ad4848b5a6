"""Whether this process was asked to stop: set on SIGTERM by whoever owns the process, a command or a worker."""

from alexnet.training.checkpoint import STOP

__all__ = ["STOP"]
