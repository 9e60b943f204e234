"""`python -m gtalk` is the `gtalk` command."""

import sys

from gtalk.cli import main

if __name__ == "__main__":
    sys.exit(main())
