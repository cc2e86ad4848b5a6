"""`python -m study VERB`: the command line."""

import sys

from study.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
