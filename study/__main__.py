"""`python -m study VERB`, and the program `alexnet-study`: the command line."""

import signal
import sys

from study.run.stop import EXIT_LATER


def command() -> int:
    """The command line as a process of its own. Asked to stop (SIGTERM) it ends with code 75 from its first moment on, while
    all the rest is imported too; verbs that train have their own way to stop."""
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_LATER))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # held back while Python started again, see one_run.py
        from study.cli.main import main

        return main()
    except SystemExit as asked:
        if asked.code == EXIT_LATER:
            print("stopped; the same command goes on from here", file=sys.stderr)
        raise


if __name__ == "__main__":
    sys.exit(command())
