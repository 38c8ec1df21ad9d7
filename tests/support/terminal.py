"""A terminal of 80 columns and 24 lines, and what a program writes to it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

COMMAND = (sys.executable, "-m", "chainrule")


def shown(*arguments, columns=80, **environment):
    """Return what ``chainrule`` writes to a terminal, with its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    }
    settings = inherited | {"TERM": "xterm-256color"} | environment
    with subprocess.Popen([*COMMAND, *arguments], stdout=theirs, stderr=theirs, env=settings) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal closes with its last writer
                break
            if not part:
                break
            parts.append(part)
        process.wait(600)
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")
