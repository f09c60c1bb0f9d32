"""Lints a copy of the project once for each way to break it: argv[1] is the copy, stdin and stdout hold JSON.

In: a list of sabotages, each a list of (file, module to import there). Out: for each the ids of the broken contracts.
A process of its own, because import-linter finds packages through `sys.path`, where the real ones stand in the tests.
"""

import json
import os
import sys
from pathlib import Path

from importlinter import configuration
from importlinter.application import use_cases


def main() -> None:
    copy = Path(sys.argv[1])
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    configuration.configure()
    options = use_cases.read_user_options("pyproject.toml")
    use_cases._register_contract_types(options)  # as its command line does; there is no public way to a report
    ids = {contract["name"]: contract["id"] for contract in options.contracts_options}
    broken = [_broken(sabotage, options, ids) for sabotage in json.load(sys.stdin)]
    print(json.dumps(broken))


def _broken(sabotage, options, ids):
    whole = {Path(file): Path(file).read_text(encoding="utf-8") for file, _ in sabotage}
    for file, module in sabotage:
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write(f"\nimport {module}\n")
    try:
        report = use_cases.create_report(options, cache_dir=None)
    finally:
        for file, text in whole.items():
            file.write_text(text, encoding="utf-8")
    assert not report.could_not_run, report.invalid_contract_options
    return [ids[contract.name] for contract, check in report.get_contracts_and_checks() if not check.kept]


if __name__ == "__main__":
    main()
