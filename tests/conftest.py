"""What every test stands on: no network but loopback, and nothing left out in silence.

A test that needs more than Python packages is skipped with a message; `--require-everything` makes that a failure.
"""

import errno
import ipaddress
import logging
import os
import shutil
import socket
import sys

import pytest
from hypothesis import settings

from bot.logs import NOISY, SILENT
from tests import redis_standin
from tests.fakes import SHARED_DATA

# Fixture -> how to get what it gives.
INSTALLABLE = {
    "chromium": "Chromium is not installed (Debian: apt-get install chromium)",
    "redis_server": "Redis is not installed (Debian: apt-get install redis-server)",
}
NO_DATA = "the real replies, papers and rankings are not here (../shared/data)"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# Names and addresses that are nobody's (RFC 2606, RFC 6761, RFC 5737): tests use them for what cannot be reached.
NOBODY = (".invalid", ".test", ".example", "example.com", "example.org", "example.net")
NOWHERE = [ipaddress.ip_network(block) for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]

reached: list[str] = []
measuring: dict[str, str] = {}
"""The variables under which a child process is measured, where coverage is; a test adds them to a child's own."""


class OutsideWorldError(OSError):
    """A test wanted to leave this machine."""


def pytest_addoption(parser):
    parser.addoption(
        "--require-everything",
        action="store_true",
        help="fail, not skip, where a browser, Redis or ../shared/data is missing",
    )


def pytest_configure(config):
    del config
    sys.addaudithook(_stay_here)  # sees connections of every library, also from C and from other threads
    _set_measuring_aside()


def pytest_collection():
    _set_measuring_aside()  # again: workers of pytest-xdist start to measure after they were configured


# Where a red light stops everybody, the same examples are tried each time; at a desk, new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("searching", deadline=None)
settings.load_profile("steady" if os.environ.get("CI") else "searching")


def pytest_collection_modifyitems(items):
    items.sort(
        key=lambda item: item.get_closest_marker("slow") is None
    )  # the long ones first, so that all cores end together


def _set_measuring_aside():
    """Keeps coverage out of child processes, which it makes twice as slow, unless a test asks for it."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS_")]:
        measuring[name] = os.environ.pop(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Code under test may swallow the refusal, so the test is told here once more."""
    reached.clear()
    result = yield
    if reached:
        pytest.fail(f"{item.name} wanted to reach {', '.join(sorted(set(reached)))}")
    return result


def pytest_runtest_setup(item):
    if item.get_closest_marker("shared_data") and not SHARED_DATA.is_dir():
        pytest.skip(NO_DATA)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    del call
    report = yield
    if (
        report.skipped
        and item.config.getoption("--require-everything")
        and (missing := _missing(item, str(report.longrepr)))
    ):
        report.outcome, report.longrepr = "failed", f"--require-everything: {missing}"
    return report


def _missing(item, said):
    """What a skipped test lacked that this machine could have had, "" when it lacked nothing.

    Other people's papers may not be published with the code: they are asked for only where their folder should be.
    """
    if item.get_closest_marker("shared_data") and SHARED_DATA.parent.is_dir():
        return NO_DATA
    return next((cure for cure in INSTALLABLE.values() if cure in said), "")


@pytest.fixture(scope="session")
def chromium():
    """The path of a headless-capable Chromium."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(INSTALLABLE["chromium"])
    return found


@pytest.fixture(scope="session")
def redis_server():
    """The URL of a Redis server that keeps what it is told; each test takes a namespace of its own there."""
    if not redis_standin.INSTALLED:
        pytest.skip(INSTALLABLE["redis_server"])
    with redis_standin.running() as server:
        yield server.url


@pytest.fixture
def own_logging():
    """`main` sets logging up for its process; this one goes on afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*NOISY, *SILENT)}
    yield
    root.handlers[:], root.level = before, level
    for name, each in levels.items():
        logging.getLogger(name).setLevel(each)


# --- no network but loopback ---------------------------------------------------------------------------------------


def _stay_here(event, arguments):
    """An audit hook (PEP 578): refuses connections and name look-ups that lead away from this machine."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple):  # others are paths of Unix sockets
            _check(str(address[0]))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and arguments[0]:
        host = arguments[0]
        _check(host.decode() if isinstance(host, bytes) else str(host))


def _check(host):
    if host == "localhost":
        return
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if host.endswith(NOBODY):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
    else:
        if address.is_loopback or address.is_unspecified:
            return
        if any(address in block for block in NOWHERE):
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
    reached.append(host)
    raise OutsideWorldError(f"tests stay on loopback, and this one wanted to reach {host}")
