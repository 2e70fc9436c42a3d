# PYTHON_ARGCOMPLETE_OK
"""The command line, `python -m imagenet_tasks`: its commands are in `commands/`."""

import sys

from imagenet_tasks.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
