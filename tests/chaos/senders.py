"""Which process sent a request: its socket, as Linux lists it (proc_net(5), proc_pid_fd(5))."""

from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from tests.chaos.forks import Process

LOCAL, INODE = 1, 9  # columns


def sender(request: web.Request, processes: Iterable[Process]) -> Process | None:
    """None where the asker has hung up meanwhile."""
    if request.transport is None:
        return None
    socket = f"socket:[{_inode(request.transport.get_extra_info('peername')[1])}]"
    return next((one for one in processes if one.code is None and socket in _files(one.pid)), None)


def _inode(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if int(columns[LOCAL].rpartition(":")[2], 16) == port:
            return columns[INODE]
    return ""


def _files(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(file.readlink()))
        except OSError:  # closed as we looked
            continue
    return found
