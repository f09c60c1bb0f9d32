"""How a process is called in the store, and whether the process of such a name has surely ended.

A bot that was killed and started again on the same machine need not wait for a lease that its dead self left behind.
"""

import hashlib
import os
import platform
from pathlib import Path
from uuid import uuid4

# Where a process ID means the same process: a start of a machine, and within it a container (pid_namespaces(7)).
_BOOT, _SPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


def process_name() -> str:
    """One that no other process has, ever: its machine's name, that of its process IDs' space, its own."""
    return f"{platform.node()}/{_space()}/{os.getpid()}/{uuid4().hex[:8]}"


def surely_ended(name: str) -> bool:
    """False for a process of another machine or container, of which nobody here can tell."""
    place, _, rest = name.rpartition("/")[0].rpartition("/")
    if not _space() or place != f"{platform.node()}/{_space()}" or not rest.isdecimal():
        return False
    if int(rest) == os.getpid():  # another token: it was here before us
        return True
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's, but there
        return False
    return False


def _space() -> str:
    """Empty where it cannot be known."""
    try:
        seen = f"{_BOOT.read_text(encoding='ascii')}{_SPACE.readlink()}"
    except OSError:
        return ""
    return hashlib.sha256(seen.encode()).hexdigest()[:8]
