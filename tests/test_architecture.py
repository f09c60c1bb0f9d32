"""The layout and the arrows between its parts, the rules of the house, and proof that each gate can close."""

import importlib
import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tokenize
import tomllib
from pathlib import Path

import grimp
import pytest

REPO = Path(__file__).resolve().parents[1]
CHILD = Path(__file__).with_name("lint_child.py")
PACKAGES = ("bot", "handlers", "prompts", "config")
HOLDERS = {"bot", "bot.report", "handlers"}  # packages whose modules stand in different layers
CONFIGURATION = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {contract["id"]: contract for contract in CONFIGURATION["tool"]["importlinter"]["contracts"]}
LAYERS = [{unit.strip(" ()") for unit in layer.split("|")} for layer in CONTRACTS["layers"]["layers"]]
OUTSIDE = next(layer for layer in LAYERS if "bot.sources" in layer)
BELOW = set().union(*LAYERS[LAYERS.index(OUTSIDE) + 1 :])

# What an adapter may know of ours, besides itself.
KNOWN_OUTSIDE = {
    "bot.tokens",
    "bot.context",
    "bot.models",
    "bot.requests",
    "bot.report.document",
    "bot.interfaces",
    "bot.errors",
    "bot.analysis.untrusted",
}

# One line an arrow: (contract that must break, file, module that it may not import).
VIOLATIONS = [
    ("layers", "bot/errors.py", "bot.texts"),
    ("layers", "bot/texts/__init__.py", "bot.models"),
    ("layers", "bot/models.py", "bot.report.document"),
    ("layers", "bot/models.py", "prompts"),
    ("layers", "bot/models.py", "bot.requests"),
    ("layers", "bot/requests.py", "bot.interfaces"),
    ("layers", "prompts/__init__.py", "bot.interfaces"),
    ("layers", "config/settings.py", "bot.models"),
    ("layers", "bot/report/document.py", "bot.interfaces"),
    ("layers", "bot/report/formula.py", "bot.report.inline"),
    ("layers", "bot/interfaces.py", "bot.analysis.scoring"),
    ("layers", "bot/analysis/scoring.py", "bot.report.inline"),
    ("layers", "bot/analysis/grounding.py", "bot.report.compose"),
    ("layers", "bot/report/page.py", "bot.report.compose"),
    ("layers", "bot/report/compose/day.py", "bot.delivery"),
    ("layers", "bot/delivery/__init__.py", "bot.ranking"),
    ("layers", "bot/ranking.py", "bot.reporter"),
    ("layers", "bot/reporter.py", "bot.daily"),
    ("layers", "bot/daily.py", "bot.ondemand"),
    ("layers", "bot/ondemand.py", "bot.schedule"),
    ("layers", "bot/answering/seeing.py", "bot.schedule"),
    ("layers", "bot/limits.py", "bot.reporter"),
    ("layers", "bot/leading.py", "bot.schedule"),
    ("core", "bot/leading.py", "redis"),
    ("layers", "bot/pacing.py", "bot.reporter"),
    ("layers", "handlers/asked.py", "handlers.means"),
    ("layers", "handlers/parsing.py", "handlers.commands"),
    ("layers", "handlers/commands.py", "handlers.desk"),
    ("layers", "bot/schedule.py", "handlers.parsing"),
    ("layers", "bot/schedule.py", "bot.check"),
    ("layers", "bot/schedule.py", "bot.engine"),
    ("layers", "bot/reporter.py", "bot.sources.huggingface"),
    ("layers", "bot/delivery/__init__.py", "bot.store.sqlite"),
    ("layers", "bot/daily.py", "bot.channels.telegram"),
    ("layers", "bot/analysis/analyst.py", "bot.llm"),
    ("layers", "bot/operator.py", "bot.clock"),
    ("layers", "bot/sources/huggingface.py", "bot.store.sqlite"),
    ("layers", "bot/channels/slack/__init__.py", "bot.sources.arxiv"),
    ("layers", "bot/llm/__init__.py", "bot.engine"),
    ("layers", "bot/store/sqlite.py", "bot.web"),
    ("layers", "bot/check.py", "bot.app"),
    ("layers", "bot/web/site.py", "bot.app"),
    ("layers", "bot/web/server.py", "bot.logs"),
    ("layers", "bot/app/wiring.py", "bot.terminal"),
    ("layers", "bot/terminal/status.py", "bot.__main__"),
    ("outside", "bot/sources/arxiv.py", "bot.texts"),
    ("outside", "bot/sources/huggingface.py", "bot.ranking"),
    ("outside", "bot/channels/telegram/__init__.py", "bot.report.inline"),
    ("outside", "bot/channels/slack/__init__.py", "bot.report.compose"),
    ("outside", "bot/channels/console/__init__.py", "bot.report.markdown"),
    ("outside", "bot/llm/__init__.py", "bot.analysis.scoring"),
    ("outside", "bot/llm/client.py", "prompts"),
    ("outside", "bot/store/sqlite.py", "bot.delivery"),
    ("outside", "bot/store/sqlite.py", "config"),
    ("outside", "bot/store/redis.py", "bot.delivery"),
    ("outside", "bot/engine/on_docket.py", "bot.daily"),
    ("outside", "bot/engine/__init__.py", "handlers"),
    ("outside", "bot/clock.py", "bot.schedule"),
    ("entrances", "bot/web/site.py", "bot.store.sqlite"),
    ("entrances", "bot/web/site.py", "bot.store.redis"),
    ("entrances", "bot/web/server.py", "bot.clock"),
    ("entrances", "handlers/__init__.py", "bot.channels.telegram"),
    ("platforms", "bot/channels/slack/__init__.py", "bot.channels.telegram"),
    ("platforms", "bot/channels/telegram/__init__.py", "bot.channels.slack"),
    ("platforms", "bot/channels/console/__init__.py", "bot.channels.slack"),
    ("core", "bot/models.py", "aiohttp"),
    ("core", "bot/report/page.py", "requests"),
    ("core", "bot/delivery/__init__.py", "sqlite3"),
    ("core", "bot/analysis/analyst.py", "litellm"),
    ("core", "bot/schedule.py", "redis"),
    ("core", "bot/ondemand.py", "telegram"),
    ("core", "bot/answering/seeing.py", "aiohttp"),
    ("core", "handlers/desk.py", "slack_bolt"),
    ("core", "bot/check.py", "slack_sdk"),
    ("core", "bot/operator.py", "slack_bolt"),
    ("core", "bot/texts/__init__.py", "socket"),
    ("core", "prompts/__init__.py", "httpx"),
    ("core", "config/settings.py", "urllib3"),
    ("core", "bot/context.py", "structlog"),
    ("layers", "bot/context.py", "bot.models"),
    ("settings", "bot/daily.py", "config"),
    ("settings", "bot/web/site.py", "config.settings"),
    ("settings", "bot/channels/telegram/__init__.py", "config.settings"),
    ("settings", "handlers/__init__.py", "config"),
    ("litellm", "bot/llm/__init__.py", "litellm"),
    ("litellm", "bot/app/wiring.py", "litellm"),
    ("litellm", "bot/terminal/status.py", "openai"),
    ("docket", "bot/engine/__init__.py", "docket"),
    ("docket", "bot/app/running.py", "docket.worker"),
]  # fmt: skip
INDIRECT = [("bot/errors.py", "json"), ("bot/clock.py", "socket"), ("bot/daily.py", "bot.clock")]
ALLOWED = [("bot/sources/arxiv.py", "bot.analysis.untrusted"), ("bot/store/sqlite.py", "bot.report.document")]


# --- imports point one way -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The contracts that each violation breaks, by (file, module); under INDIRECT's and ALLOWED's first for those."""
    copy = tmp_path_factory.mktemp("sabotaged")
    for package in PACKAGES:
        shutil.copytree(REPO / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "pyproject.toml", copy)
    sabotages = [[(file, module)] for _, file, module in VIOLATIONS] + [INDIRECT, ALLOWED, []]
    asked = json.dumps(sabotages)
    done = subprocess.run(
        [sys.executable, CHILD, copy], input=asked, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    broken = json.loads(done.stdout.splitlines()[-1])
    return {tuple(sabotage[0]) if sabotage else (): found for sabotage, found in zip(sabotages, broken, strict=True)}


def test_the_contracts_hold_and_every_import_against_the_arrows_breaks_its_own(verdicts):
    """One test, so that one worker makes the copy and the graphs once."""
    assert verdicts[()] == []
    unnoticed = [
        (contract, file, module) for contract, file, module in VIOLATIONS if contract not in verdicts[file, module]
    ]
    assert unnoticed == []
    assert "core" in verdicts[INDIRECT[0]], "on a way round"
    assert verdicts[ALLOWED[0]] == [], "documents and the rules for untrusted text are allowed"


def test_every_contract_has_been_broken_on_purpose():
    assert {contract for contract, _, _ in VIOLATIONS} == set(CONTRACTS)


def covered(module, units):
    return any(module == unit or module.startswith(f"{unit}.") for unit in units)


def homeless(modules):
    """The modules that stand in no layer."""
    return {module for module in modules - HOLDERS if not covered(module, set().union(*LAYERS))}


@pytest.fixture(scope="module")
def modules():
    """Every module of ours."""
    return set(grimp.build_graph(*PACKAGES, cache_dir=None).modules)


def test_every_module_stands_in_a_layer(modules):
    assert homeless(modules) == set()


def test_a_new_module_without_a_layer_is_noticed(modules):
    new = {"bot.helpers", "bot.report.extras", "handlers.discord", "bot.modelsx"}
    assert homeless(modules | new) == new


def test_no_module_stands_in_two_layers():
    units = [unit for layer in LAYERS for unit in layer]
    assert len(units) == len(set(units))
    assert not [unit for unit in units if covered(unit, set(units) - {unit})]


def test_what_only_holds_other_modules_imports_nothing_of_ours():
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    assert {module for holder in HOLDERS for module in graph.find_modules_directly_imported_by(holder)} == set()


def test_the_contracts_leave_no_module_out(modules):
    """A module that joins a layer joins the other contracts, too."""
    assert set(CONTRACTS["outside"]["source_modules"]) == OUTSIDE
    assert set(CONTRACTS["entrances"]["forbidden_modules"]) == OUTSIDE
    assert {
        unit for unit in BELOW & (modules | {"config"}) if not covered(unit, CONTRACTS["core"]["source_modules"])
    } == set()
    refused = {unit.removesuffix(".*") for unit in CONTRACTS["outside"]["forbidden_modules"]}
    assert {unit for unit in BELOW & modules if not covered(unit, refused | KNOWN_OUTSIDE)} == set()
    platforms = {module for module in modules if re.fullmatch(r"bot\.channels\.\w+", module)}
    assert platforms - {"bot.channels.split", "bot.channels.pace"} == set(CONTRACTS["platforms"]["modules"])


def test_the_model_library_is_named_by_one_file_only():
    """Also not imported by name at run time, which the contract cannot see."""
    named = re.compile(r"(import_module|__import__)\(\s*.litellm|^\s*(import|from) litellm", re.MULTILINE)
    assert [file for file in sources(*PACKAGES) if named.search(text_of(file))] == [REPO / "bot" / "llm" / "client.py"]


def test_the_four_packages_are_ours():
    for package in PACKAGES:
        assert Path(str(importlib.import_module(package).__file__)).parent == REPO / package


# --- nothing is done at import -------------------------------------------------------------------------------------

# Runs in a fresh interpreter: refuses every act on the world outside, imports, prints what was loaded.
IMPORTING = """
import json, sys, threading
ACTS = ("socket.", "subprocess.", "sqlite3.", "os.system", "os.posix_spawn", "os.fork", "os.mkdir", "os.remove")
def refuse(event, arguments):
    if event.startswith(ACTS) and not event.startswith(("socket.gethostname", "socket.__new__")):
        raise RuntimeError(f"{event} at import")
    if event == "open" and isinstance(arguments[1], str) and set("wax+") & set(arguments[1]):
        raise RuntimeError(f"{arguments[0]} is written at import")
sys.addaudithook(refuse)
for name in sys.argv[1:]:
    __import__(name)
assert threading.active_count() == 1, "a thread was started at import"
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(*names, code=IMPORTING):
    """The modules in a fresh interpreter after importing `names`."""
    command = [sys.executable, "-B", "-c", code, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPO, timeout=50)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_core_loads_no_library_of_the_outside(modules):
    core = {module for module in modules if covered(module, BELOW)}
    libraries = set(CONTRACTS["core"]["forbidden_modules"]) - sys.stdlib_module_names
    assert libraries >= {"litellm", "telegram", "slack_sdk", "arxiv", "aiohttp"}
    assert loaded_by(*sorted(core)) & libraries == set()


@pytest.mark.slow
def test_importing_anything_of_ours_does_no_work(modules):
    loaded = loaded_by(*sorted(modules))
    assert modules <= loaded
    assert "litellm" not in loaded  # two seconds that only a model's first call pays


HELP = """
import json, sys
from bot.__main__ import main
try:
    main(["report", "--help"])
except SystemExit as ended:
    assert not ended.code
print(json.dumps(sorted(sys.modules)))
"""


def test_help_loads_no_settings_and_nothing_heavy():
    loaded = loaded_by(code=HELP)
    ours = {name for name in loaded if name.split(".")[0] in PACKAGES}
    assert ours == {"bot", "bot.__main__"}
    assert not loaded & {"pydantic", "rich", "asyncio", "aiohttp", "jinja2"}


HELP_SECONDS = 0.3  # what a person takes for "at once"


@pytest.mark.slow
def test_help_answers_at_once():
    def seconds():
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bot", "--help"], cwd=REPO, check=True, capture_output=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < HELP_SECONDS


# --- the house's rules ---------------------------------------------------------------------------------------------


def sources(*folders):
    """Our Python files."""
    return [file for folder in folders for file in sorted((REPO / folder).rglob("*.py"))]


def text_of(file):
    return file.read_text(encoding="utf-8")


REASON = r"\s+(?:-|#)\s+\S.{3,}"
IGNORES = re.compile(r"noqa|type:\s*ignore|pragma:|nosec|pylint:|mypy:|pyright:")
EXPLAINED = re.compile(
    rf"# (?:noqa: [A-Z]+\d+(?:,\s?[A-Z]+\d+)*|type: ignore\[[\w,-]+\]|pragma: no (?:cover|branch)){REASON}"
)


def unexplained(text):
    """The lines of Python in `text` whose ignore gives no rule or no reason."""
    if not IGNORES.search(text):
        return []
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT and IGNORES.search(token.string)]
    return [comment.start[0] for comment in comments if not EXPLAINED.search(comment.string)]


def test_every_lint_ignore_explains_itself():
    bare = {
        f"{file.relative_to(REPO)}:{line}"
        for file in sources(*PACKAGES, "tests")
        for line in unexplained(text_of(file))
    }
    assert bare == set()


@pytest.mark.parametrize(
    ("line", "is_explained"),
    [
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: S105", False),
        ("x = 1  # noqa: S105 - ", False),
        ("x = 1  # noqa: S105 - the setting's name", True),
        ("x = 1  # noqa: S105, E501  # the setting's name", True),
        ("x = 1  # type: ignore", False),
        ("x = 1  # type: ignore  # the library has no types", False),
        ("x = 1  # type: ignore[arg-type]", False),
        ("x = 1  # type: ignore[arg-type]  # fields come by name", True),
        ("x = 1  # pragma: no cover", False),
        ("# mypy: ignore-errors", False),
        ("x = '# noqa'", True),
    ],
)  # fmt: skip
def test_an_ignore_without_a_rule_or_a_reason_is_noticed(line, is_explained):
    assert (unexplained(line) == []) is is_explained


def test_every_ignore_of_the_configuration_explains_itself():
    lines = text_of(REPO / "pyproject.toml").splitlines()
    ignoring = [
        line for line in lines if re.match(r'\s+"(?:[A-Z]+\d*|ignore:.*|default:.*)",|".*" = \["[A-Z]+\d*"', line)
    ]
    assert len(ignoring) > len(CONFIGURATION["tool"]["ruff"]["lint"]["ignore"])
    assert [line for line in ignoring if not re.search(r"# \S.{3,}", line)] == []


def test_warnings_are_errors():
    assert CONFIGURATION["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"


# Files that run in every Python process of an environment; a malicious release of a dependency came as one.
KNOWN_PTH = {
    "coverage": "measures child processes, while tests run",
    "setuptools": "keeps `import distutils` alive; venv installs it on Python 3.11",
    "virtualenv": "what `virtualenv` and `uv venv` put into an environment",
    "paperboy": "this project, installed editable",
}


def owners_of_pth():
    """The distribution that brought each .pth file of this environment, "" for none."""
    owned = {
        file.name: distribution.name
        for distribution in importlib.metadata.distributions()
        for file in distribution.files or ()
        if file.suffix == ".pth"
    }
    owned.setdefault("_virtualenv.pth", "virtualenv")
    found = {file.name for key in ("purelib", "platlib") for file in Path(sysconfig.get_path(key)).glob("*.pth")}
    return {name: owned.get(name, "") for name in found}


def test_no_unknown_code_runs_at_the_start_of_every_python_process():
    assert {name: owner for name, owner in owners_of_pth().items() if owner not in KNOWN_PTH} == {}


def tracked():
    """The text files under version control, with their content."""
    git = shutil.which("git")
    listed = git and subprocess.run([git, "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=False)
    if not listed or listed.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        content = (REPO / name).read_bytes() if (REPO / name).is_file() else b""
        if b"\0" not in content:
            yield name, content.decode(errors="replace")


# Each with a letter in brackets, so that this file holds none of them.
FOREIGN = re.compile(
    r"python[h]osted|[p]ypi\.org|/[p]ypi/|registry\.[n]pm|deb\.[d]ebian|index-[u]rl\s*=?\s*http"
    r"|(?<![\w.])/(?:[w]ork|[r]oot|[h]ome/\w+)/|[b]ash_jobs|[s]ub-?agent",
    re.IGNORECASE,
)


def test_no_registry_host_and_no_path_of_a_machine_stands_in_a_tracked_file():
    here = re.compile("|".join(re.escape(f"{path}/") for path in (REPO, Path.home()) if len(path.parts) > 1))
    found = [
        f"{name}: {match[0]}"
        for name, text in tracked()
        for match in (FOREIGN.search(text) or here.search(text),)
        if match
    ]
    assert found == []


@pytest.mark.parametrize("text", ["https://py|pi.org/simple", "see /ro|ot/.cache", "a sub|agent", "/wo|rk/main"])
def test_a_registry_host_or_a_path_of_a_machine_would_be_noticed(text):
    assert FOREIGN.search(text.replace("|", ""))


@pytest.mark.slow
def test_the_container_file_is_clean():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_gets_every_package_and_nobodys_settings():
    copied = set(re.findall(r"^COPY (\S+) \./", text_of(REPO / "Dockerfile"), re.MULTILINE))
    ignored = text_of(REPO / ".dockerignore").splitlines()
    assert copied == {*PACKAGES, "requirements.lock", "requirements-otel.lock"}
    assert ignored[0] == "*"
    assert {f"!{name}" for name in copied} == {line for line in ignored if line.startswith("!")}
    assert ignored.index("config/config.toml") > ignored.index("!config")
