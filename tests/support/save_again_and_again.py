"""Save two contents to one path in turn, until killed."""

import sys

from chainrule.saving.files import write_whole

if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201  it is waited for
    while True:
        for letter in (b"a", b"b"):
            write_whole(sys.argv[1], letter * 3_000_000)
