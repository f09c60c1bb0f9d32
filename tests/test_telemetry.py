"""The table of series: what code counts stands in it, what stands in it is counted, and nothing else can be."""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.interfaces import NoTelemetry, Telemetry, count_http
from bot.telemetry import BEGIN, END, PAGE, SERIES, Metrics, table

REPO = Path(__file__).resolve().parent.parent
KINDS = {"count": "counter", "gauge": "gauge", "observe": "histogram"}
FEW = {  # labels whose values a team's settings or our own code name: a dozen at most
    *("state", "platform", "step", "kind", "command", "job", "outcome", "lease", "model", "upstream", "status"),
    *("store", "loop", "version", "python"),
}
# Told by what has a queue.
ELSEWHERE: set[str] = set()


def values(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of the page, read as Prometheus reads it."""
    families = text_string_to_metric_families(metrics.page().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Of `paperboy_<name>`; 0 where it never was."""
    return values(metrics).get((f"paperboy_{name}", frozenset(labels.items())), 0.0)


def said() -> list[tuple[str, str, str, frozenset[str]]]:
    """Every call of a telemetry in the code: where, its method, the series, and the labels."""
    found = []
    for file in sorted([*(REPO / "bot").rglob("*.py"), *(REPO / "handlers").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KINDS:
                of = node.func.value
                if (of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", "")).endswith("telemetry"):
                    [name, *_] = node.args
                    assert isinstance(name, ast.Constant), f"{file}:{node.lineno}: a name that the table can be asked"
                    labels = frozenset(word.arg for word in node.keywords if word.arg and word.arg not in ("by",))
                    found.append((f"{file.relative_to(REPO)}:{node.lineno}", node.func.attr, str(name.value), labels))
    return found


def test_what_code_counts_stands_in_the_table_with_its_labels():
    table = {series.name: series for series in SERIES}
    calls = said()
    assert len(calls) > 20
    strangers = [
        call
        for call in calls
        if call[2] not in table or table[call[2]].kind != KINDS[call[1]] or frozenset(table[call[2]].labels) != call[3]
    ]
    assert strangers == []


def test_what_stands_in_the_table_is_counted_somewhere():
    assert {series.name for series in SERIES} - {call[2] for call in said()} <= ELSEWHERE | {"build_info"}


def test_no_label_has_more_than_a_handful_of_values():
    assert {label for series in SERIES for label in series.labels} <= FEW


def test_the_first_unknown_message_is_an_increase_that_an_alert_can_see():
    metrics = Metrics()
    assert 'paperboy_parts_unknown_total{platform="telegram"} 0.0' in metrics.page().decode()
    metrics.count("parts_unknown", platform="telegram")
    assert value(metrics, "parts_unknown_total", platform="telegram") == 1


def test_a_page_shows_every_series_with_its_help_and_buckets():
    metrics = Metrics()
    for series in SERIES:
        labels = dict.fromkeys(series.labels, "x")
        match series.kind:
            case "counter":
                metrics.count(series.name, 2, **labels)
            case "gauge":
                metrics.gauge(series.name, 2, **labels)
            case "histogram":
                assert series.buckets
                metrics.observe(series.name, 2, **labels)
    page = metrics.page().decode()
    for series in SERIES:
        ending = "_count" if series.kind == "histogram" else ""
        expected = 1 if series.kind == "histogram" else 2
        assert value(metrics, series.shown.removeprefix("paperboy_") + ending, **dict.fromkeys(series.labels, "x")) == (
            expected
        )
        assert f"# HELP {series.shown} {series.help}" in page


@pytest.mark.parametrize(
    "wrong",
    [
        lambda metrics: metrics.count("reports_delivred", state="sent", platform="slack"),
        lambda metrics: metrics.count("reports_delivered"),
        lambda metrics: metrics.count("reports_late", chat="-100123"),
        lambda metrics: metrics.gauge("reports_late", 1),
        lambda metrics: metrics.observe("queue_depth", 1),
        lambda metrics: metrics.count("reports_late", -1),
    ],
)
def test_what_the_table_does_not_know_ends_nothing_and_shows_nowhere(wrong):
    metrics, untouched = Metrics(), Metrics()
    wrong(metrics)
    process = "process_"
    kept, before = (
        {key: found for key, found in values(one).items() if not key[0].startswith(process)}
        for one in (metrics, untouched)
    )
    assert {key: found for key, found in kept.items() if not key[0].endswith("_created")} == {
        key: found for key, found in before.items() if not key[0].endswith("_created")
    }


def test_an_unknown_series_is_logged_once(caplog):
    metrics = Metrics()
    for _ in range(3):
        metrics.count("reports_delivred")
    [record] = caplog.records
    assert vars(record)["series"] == "reports_delivred"


def test_the_operators_page_lists_every_series():
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0].strip() == table()


def test_the_operators_page_names_no_series_that_is_not_there():
    known = {series.shown for series in SERIES}
    named = set(re.findall(r"\bpaperboy_\w+", PAGE.read_text(encoding="utf-8")))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) if name not in known else name for name in named} <= known


def test_two_apps_of_one_process_count_apart():
    one, other = Metrics(), Metrics()
    one.count("reports_late")
    assert (value(one, "reports_late_total"), value(other, "reports_late_total")) == (1, 0)


@pytest.mark.parametrize(("status", "shown"), [(200, "2xx"), (429, "4xx"), (503, "5xx"), (None, "error")])
def test_requests_are_counted_by_the_class_of_their_status(status, shown):
    metrics = Metrics()
    count_http(metrics, "arxiv", status, 0.3)
    count_http(metrics, "arxiv", status)
    assert value(metrics, "http_requests_total", upstream="arxiv", status=shown) == 2
    assert value(metrics, "http_seconds_count", upstream="arxiv") == 1


def test_without_anybody_who_watches_nothing_happens():
    nobody: Telemetry = NoTelemetry()
    nobody.count("anything", of="all")
    with nobody.span("step", papers=3):
        pass
