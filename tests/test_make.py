"""What a newcomer's `make` says and does before there is anything to run."""

import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture
def make(tmp_path):
    """Runs make in a folder that holds nothing but the Makefile and the lock files."""
    for file in ("Makefile", "requirements.lock", "requirements-dev.lock", "requirements-live.lock"):
        shutil.copy(REPO / file, tmp_path)

    def run(*arguments):
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50)

    return run


def a_python(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_make_alone_says_what_there_is(make):
    shown = make().stdout.splitlines()
    assert [line.split()[1] for line in shown] == [
        "help",
        "demo",
        "run",
        "test",
        "coverage",
        "whole",
        "check",
        "chaos",
        "injection-live",
        "image",
        "lock",
        "clean",
    ]
    assert all(len(line.split()) > 3 for line in shown)


def test_an_old_python_is_refused_with_the_cure(make, tmp_path):
    old = a_python(tmp_path / "old-python", "exit 1")  # what Python 3.10 answers when it is asked for its version
    done = make("demo", f"PYTHON={old}")
    assert done.returncode != 0
    assert "needs Python 3.11 or later" in done.stderr
    assert "make demo PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_environment_that_could_not_be_made_is_not_left_behind(make, tmp_path):
    """Debian's Python without python3-venv makes half of one; the next try would take it for whole."""
    half = a_python(
        tmp_path / "half-python", '[ "$1" = -m ] || exit 0; mkdir -p .venv/bin; touch .venv/bin/python; exit 1'
    )
    assert make("demo", f"PYTHON={half}").returncode != 0
    assert not (tmp_path / ".venv").exists()


def test_the_set_up_is_done_once(make, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    a_python(tmp_path / ".venv" / "bin" / "python", 'echo "$@" >> asked')
    for _ in range(2):
        assert make("demo", "ARGS=--json").returncode == 0
    installing, *rest = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert installing.startswith("-m pip install")
    assert installing.endswith("--require-hashes -r requirements.lock")
    assert rest == ["-m bot demo --json"] * 2


def test_an_install_that_failed_is_tried_again(make, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    a_python(tmp_path / ".venv" / "bin" / "python", 'echo "$@" >> asked; [ -e there ]')
    assert make("demo").returncode != 0
    (tmp_path / "there").touch()
    assert make("demo").returncode == 0
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert [line.split()[1] for line in asked] == ["pip", "pip", "bot"]
