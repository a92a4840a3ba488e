"""`python -m nexort` is the command `nexort`."""

import sys

from nexort.cli import main

if __name__ == "__main__":
    sys.exit(main())
