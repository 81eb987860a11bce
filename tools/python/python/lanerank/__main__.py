"""The command line: `python -m lanerank`, the same as the program `lanerank`."""

import signal
import sys

from ._lanerank import run_cli


def main() -> int:
    """Runs the command that sys.argv asks for; returns the exit code."""
    # Native code does not look at Python's flag for an interrupt.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_cli(["lanerank", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
