"""Run a command that dies with the process that started it: `die_with_parent.py PARENT SIGNAL UID GID COMMAND…`.

A script of its own, and not a hook between fork and exec, because the
emulator has threads. On Linux the kernel sends the signal, even when the
parent was killed with SIGKILL; elsewhere the command just runs. A UID of -1
keeps the user; another is changed to here, because that user may not be able
to run this interpreter.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, signum: str, uid: str, gid: str, *command: str) -> None:
    if uid != "-1":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After the change of user, which would clear it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum))
        # The parent may have died before the call above, and then no signal comes.
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
