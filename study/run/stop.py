"""Whether this process was asked to stop, and what it says then. Imports nothing that takes time: `__main__` reads it first."""

import threading

STOP = threading.Event()
"""Set on SIGTERM: the run in hand keeps a checkpoint at its next step and ends, and no other is begun."""
EXIT_LATER = 75
"""The exit code of what was asked to stop and goes on when it is called again (EX_TEMPFAIL)."""
