"""The command line: `python -m lanerank` is the program `lanerank`."""

import signal
import sys

from ._lanerank import run_cli


def main() -> int:
    """Runs the command of sys.argv and returns the exit code."""
    # Native code does not check Python's flag for an interrupt.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_cli(["lanerank", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
