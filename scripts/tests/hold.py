#!/usr/bin/env python3
"""Stops one thread of a process, and none of the others (ptrace(2)), until the process ends.

    hold.py PROCESS THREAD-NAME
"""

import ctypes
import os
import pathlib
import sys

SEIZE, INTERRUPT = 0x4206, 0x4207

process, name = sys.argv[1:]
threads = pathlib.Path(f"/proc/{process}/task").iterdir()
thread = next(int(each.name) for each in threads if (each / "comm").read_text().strip() == name)
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
for request in (SEIZE, INTERRUPT):
    if ptrace(request, thread, None, None) != 0:
        sys.exit(f"hold.py: {os.strerror(ctypes.get_errno())}")
os.waitpid(thread, 0x40000000)  # __WALL: it has stopped
os.waitpid(thread, 0x40000000)  # it has ended
