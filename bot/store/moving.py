"""An installation on the move: a store into a file of JSON lines, a file into a store, a store into another.

The first line says what the file is, the last how many entries there are, so that one that was cut off is noticed
before anything is written. What a store already has stays unless the entry is surely newer: moving twice does no harm.
"""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from bot.errors import InputError, StoreError
from bot.store.content import from_json, to_json
from bot.store.entries import KINDS, Dump, Entry, Verdict, verdict

VERSION = 1  # of the lines
BATCH = 50  # entries in one transaction: some megabytes at most
Moved = Mapping[str, Mapping[Verdict, int]]
"""How many entries of each kind ended how."""


async def export(store: Dump, file: Path) -> Mapping[str, int]:
    """Writes everything to `file`, which only its owner can read, whole or not at all. Returns entries by kind.

    Raises StoreError, InputError where the file cannot be written.
    """
    counted: Counter[str] = Counter()
    part = file.with_name(f"{file.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as lines:
            lines.write(json.dumps({"paperboy": "store", "version": VERSION}) + "\n")
            async for entry in store.entries():
                counted[entry.kind] += 1
                lines.write(_line(entry) + "\n")
            lines.write(json.dumps({"entries": counted.total()}) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
        part.replace(file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"cannot write {file}", key="cli.no_folder", folder=str(file), reason=reason) from error
    finally:
        part.unlink(missing_ok=True)
    return counted


async def import_(file: Path, store: Dump) -> Moved:
    """Writes what `file` holds to the store. Raises InputError for a file that is none or not whole, StoreError."""
    try:
        _verify(file)
        moved: dict[str, Counter[Verdict]] = {}
        entries = _entries(file)
        while batch := list(islice(entries, BATCH)):
            await _restore(batch, store, moved)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"cannot read {file}", key="cli.no_file", file=str(file), reason=reason) from error
    except UnicodeDecodeError as error:
        raise _foreign(file) from error
    return moved


async def migrate(source: Dump, target: Dump) -> Moved:
    """Writes everything of one store to another. Raises StoreError."""
    moved: dict[str, Counter[Verdict]] = {}
    async for batch in _batches(source):
        await _restore(batch, target, moved)
    return moved


async def _batches(source: Dump) -> AsyncIterator[list[Entry]]:
    batch: list[Entry] = []
    async for entry in source.entries():
        batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _restore(batch: list[Entry], store: Dump, moved: dict[str, Counter[Verdict]]) -> None:
    standing = await store.standing(batch)
    ends = [verdict(entry, there) for entry, there in zip(batch, standing, strict=True)]
    await store.restore([entry for entry, end in zip(batch, ends, strict=True) if end in (Verdict.NEW, Verdict.NEWER)])
    for entry, end in zip(batch, ends, strict=True):
        moved.setdefault(entry.kind, Counter())[end] += 1


def _line(entry: Entry) -> str:
    return f'{{"kind": "{entry.kind}", "value": {to_json(KINDS[entry.kind], entry.value)}}}'


def _verify(file: Path) -> None:
    """Is it an export, whole, and of a version that we know?"""
    with file.open(encoding="utf-8") as lines:
        first, last, count = _object(lines.readline()), "", 0
        for line in lines:
            last, count = line, count + 1
    if first.get("paperboy") != "store":
        raise _foreign(file)
    if not isinstance(version := first.get("version"), int) or version > VERSION:
        raise _newer(file)
    if _object(last).get("entries") != count - 1:
        raise InputError(f"{file} is not whole", key="cli.store_cut_file", file=str(file))


def _entries(file: Path) -> Iterator[Entry]:
    with file.open(encoding="utf-8") as lines:
        lines.readline()
        for line in lines:
            found = _object(line)
            if "entries" in found:
                return
            kind = str(found.get("kind"))
            if kind not in KINDS:
                raise _newer(file)
            try:
                yield Entry(kind, from_json(KINDS[kind], json.dumps(found["value"], ensure_ascii=False)))
            except (StoreError, KeyError) as error:
                raise _foreign(file) from error


def _object(line: str) -> dict[str, Any]:
    """What stands in a line; nothing where it is no JSON object."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _foreign(file: Path) -> InputError:
    return InputError(f"{file} is no export of a store", key="cli.store_no_file", file=str(file))


def _newer(file: Path) -> InputError:
    return InputError(f"{file} was written by a newer version", key="cli.store_newer_file", file=str(file))
