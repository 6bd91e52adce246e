"""Run a command that dies with its parent process: `die_with_parent.py PARENT SIGNAL UID GID NICE COMMAND…`.

This is a separate script because a hook between fork and exec is unsafe in the emulator, which has threads. On Linux the
kernel sends the signal even if the parent was killed with SIGKILL; on other systems the command may outlive its parent.
A UID of -1 keeps the current user. Any other user is set here, once the interpreter runs, because that user may lack the
permission to execute the interpreter. NICE is added to the niceness (nice(2)).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, signum: str, uid: str, gid: str, nice: str, *command: str) -> None:
    if nice != "0":
        be_nice(int(nice))
    if uid != "-1":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # Set this after the change of user, which clears it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum))
        # If the parent died before the call above, the kernel sends no signal.
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)


def be_nice(increment: int) -> None:
    """Lower the priority of this process, and of its session: with autogroups (sched(7)), Linux compares sessions only."""
    niceness = os.nice(increment)
    try:
        with open("/proc/self/autogroup", "w") as group:  # noqa: PTH123 - pathlib takes longer to import than the rest of this script
            group.write(str(niceness))
    except OSError:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
