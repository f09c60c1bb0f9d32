"""The ground that tests stand on holds: no network but loopback, and no silent skips."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests import conftest

REPO = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("host", ["198.18.0.1", "10.0.0.1", "2001:db8::1"])
def test_a_connection_to_another_machine_is_refused(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as away, pytest.raises(conftest.OutsideWorldError, match="tests stay on loopback"):
        away.connect((host, 80))
    assert conftest.reached == [host]
    conftest.reached.clear()


async def test_a_request_to_another_machine_is_refused_even_where_it_is_caught():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get("https://huggingface.co/api/daily_papers")
    assert set(conftest.reached) == {"huggingface.co"}
    conftest.reached.clear()


def test_names_and_addresses_that_are_nobodys_answer_as_if_unreachable():
    with pytest.raises(socket.gaierror):
        socket.create_connection(("arxiv.invalid", 80))
    with socket.socket() as away, pytest.raises(OSError, match="unreachable"):
        away.connect(("192.0.2.1", 80))
    assert conftest.reached == []


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


OUTCOMES = ("PASSED", "FAILED", "ERROR")
INNER = """
import socket

import pytest

@pytest.mark.shared_data
def test_on_data(): ...

def test_in_a_browser(chromium): ...

def test_on_a_server(request):
    request.getfixturevalue("redis_server")

def test_that_does_not_apply():
    pytest.skip("this platform has no such thing")

def test_that_swallows_the_refusal():
    try:
        socket.create_connection(("198.18.0.1", 80))
    except OSError:
        pass

def test_fine(): ...
"""


@pytest.fixture
def inner(tmp_path):
    """Runs six tests in a project without browser, server and data; gives their outcomes by name."""
    tests = tmp_path / "project" / "tests"
    tests.mkdir(parents=True)
    (tests / "__init__.py").touch()
    (tests / "test_inner.py").write_text(INNER, encoding="utf-8")
    for file in ("conftest.py", "fakes.py", "redis_standin.py"):
        shutil.copy(REPO / "tests" / file, tests)
    server = tests / "redis_standin.py"
    server.write_text(server.read_text(encoding="utf-8").replace('"/usr/bin/', '"/nowhere/'), encoding="utf-8")
    for entry in ("bot", "prompts", "config", "pyproject.toml"):
        (tests.parent / entry).symlink_to(REPO / entry)

    def run(*options, data=False):
        if data:
            (tmp_path / "shared").mkdir()
        command = [sys.executable, "-B", "-m", "pytest", "-rA", "-p", "no:xdist", "-p", "no:cov", *options]
        path = str(tmp_path / "no-browser-here")
        done = subprocess.run(
            command, cwd=tests.parent, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
        )
        lines = [line.split(" ", 2) for line in done.stdout.splitlines() if "test_inner.py" in line]
        return {line[1].rpartition("::")[2]: line[0] for line in lines if line[0] in OUTCOMES}, done.stdout

    return run


@pytest.mark.slow
def test_what_is_missing_is_skipped_with_a_message(inner):
    outcomes, output = inner()
    assert outcomes == {"test_that_swallows_the_refusal": "FAILED", "test_fine": "PASSED"}
    assert "4 skipped" in output
    assert conftest.NO_DATA in output
    assert all(cure in output for cure in conftest.INSTALLABLE.values())
    assert "wanted to reach 198.18.0.1" in output


@pytest.mark.slow
def test_what_is_missing_fails_where_everything_is_required(inner):
    outcomes, output = inner("--require-everything", data=True)
    assert outcomes == {
        "test_on_data": "ERROR",
        "test_in_a_browser": "ERROR",
        "test_on_a_server": "FAILED",
        "test_that_swallows_the_refusal": "FAILED",
        "test_fine": "PASSED",
    }
    assert "1 skipped" in output  # what does not apply is not missing
