"""Whether this process was asked to stop, and its exit code then. Its imports are quick, because `__main__` imports it
first."""

import threading

STOP = threading.Event()
"""Set on SIGTERM: the current run writes a checkpoint at its next step and ends, and no other run is begun."""
EXIT_LATER = 75
"""The exit code of a command that was asked to stop and goes on when it is called again (EX_TEMPFAIL)."""
