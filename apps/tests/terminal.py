#!/usr/bin/env python3
"""Runs a program in a terminal of its own and says what it wrote to that.

    terminal.py PROGRAM [ARGUMENT…]

Exit: that of the program.
"""

import os
import pty
import sys


def main(*words):
    child, terminal = pty.fork()
    if child == 0:
        os.execv(words[0], words)
    try:
        while data := os.read(terminal, 65536):
            sys.stdout.buffer.write(data)
    except OSError:
        pass  # The program has ended.
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
