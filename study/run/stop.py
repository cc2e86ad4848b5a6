"""Whether this process was asked to stop."""

import threading

STOP = threading.Event()
"""Set on SIGTERM: the run in hand keeps a checkpoint at its next step and ends, and no other is begun."""
