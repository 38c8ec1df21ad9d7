"""``python -m benchmarks.gate [--update]``, at the top of a checkout: see CONTRIBUTING.md."""

import argparse
import sys

from benchmarks.gate.gates import FILE, read
from benchmarks.gate.verdict import gate, updated


def main() -> None:
    """Check a training step against the table, or write the table; exit with 1 where something fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=main.__doc__)
    parser.add_argument("--update", action="store_true", help="measure everything and write the table")
    try:
        if parser.parse_args().update:
            FILE.write_text(str(updated(read())), encoding="utf-8")
            message = f"{FILE} was written; see what changed with: git diff {FILE}"
        elif lines := gate(read()):
            sys.exit("\n".join(lines))
        else:
            message = f"the gate is open: all of {FILE} holds"
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{message}\n")


if __name__ == "__main__":
    main()
