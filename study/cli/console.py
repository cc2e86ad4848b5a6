"""Where a command prints. Passwords in what it prints are replaced by ***."""

import errno
import sys
from typing import TextIO

from study.run.database import redacted


class Console:
    """Prints lines to standard output, or to standard error where standard output is JSON for a script."""

    def __init__(self, to_stderr: bool = False):
        self.to_stderr = to_stderr

    @property
    def file(self) -> TextIO:
        return sys.stderr if self.to_stderr else sys.stdout

    def say(self, text: str) -> None:
        try:
            print(redacted(text), file=self.file, flush=True)
        except OSError as error:
            if error.errno != errno.ENOSPC:  # a log on a full disk: what is done goes on, and is told when there is room
                raise
