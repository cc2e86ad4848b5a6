"""The command line: `python -m study VERB` and the program `alexnet-study`."""

import signal
import sys

from study.run.stop import EXIT_LATER


def command() -> int:
    """Run the command line as its own process. On SIGTERM it exits with code 75. This works from the start, even while the
    other modules are still being imported. Verbs that train install their own way to stop."""
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_LATER))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # was blocked while Python restarted, see one_run.py
        from study.cli.main import main

        return main()
    except SystemExit as asked:
        if asked.code == EXIT_LATER:
            print("stopped; the same command continues from here", file=sys.stderr)
        raise


if __name__ == "__main__":
    sys.exit(command())
