"""What an operator's dashboards show, as Prometheus reads it: one table of series, and a registry of this App's own.

Labels have few values: no paper, no chat and no user is ever one.
"""

import logging
import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from bot import __version__
from bot.interfaces import Spans, no_span
from bot.models import PlatformName

logger = logging.getLogger(__name__)

PREFIX = "paperboy"
# Seconds; the long ones wait for models, or for a platform's pace.
QUICK = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LONG = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Series:
    """One series, by the name that code says. Prometheus sees `paperboy_<name>`, a counter `paperboy_<name>_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def shown(self) -> str:
        return f"{PREFIX}_{self.name}" + ("_total" if self.kind == "counter" else "")


SERIES = (
    Series("reports_delivered", "counter", "reports brought to a channel, by how that went", ("state", "platform")),
    Series("reports_late", "counter", "reports that reached a channel late"),
    Series("reports_overdue", "gauge", "reports that should stand in a channel by now and do not"),
    Series("parts_unknown", "counter", "messages of which nobody knows whether they were posted", ("platform",)),
    Series("report_seconds", "histogram", "making a report, by step", ("step",), LONG),
    Series("delivery_seconds", "histogram", "from planned to delivered", ("kind", "platform"), LONG),
    Series("request_seconds", "histogram", "from asked to answered", ("command", "state"), LONG),
    Series("requests_open", "gauge", "requests that wait for an answer, on all replicas"),
    Series("deliveries_open", "gauge", "deliveries with a message that is still to be sent, on all replicas"),
    Series("queue_depth", "gauge", "jobs in the queue, waiting or running, of all processes"),
    Series(
        "parts_unknown_open",
        "gauge",
        "messages of which nobody knows and that wait for somebody's word, of all processes",
    ),
    Series("jobs", "counter", "jobs that ended", ("job", "outcome")),
    Series("jobs_running", "gauge", "jobs that run in this process", ("job",)),
    Series("job_seconds", "histogram", "how long jobs ran", ("job",), LONG),
    Series("lease_takeovers", "counter", "leases taken over from a process that was gone", ("lease",)),
    Series("model_calls", "counter", "calls of a model, by what came of them", ("model", "outcome")),
    Series("model_tokens", "counter", "tokens that models read and wrote", ("model", "kind")),
    Series("model_cost_usd", "counter", "what models cost, where the price is known", ("model",)),
    Series("model_spent_usd", "gauge", "what models cost on this UTC day, on all replicas"),
    Series("model_budget_usd", "gauge", "what they may cost (`llm.daily_budget_usd`); not there without a limit"),
    Series("http_requests", "counter", "requests to others' services", ("upstream", "status")),
    Series("http_seconds", "histogram", "until they answered", ("upstream",), QUICK),
    Series("store_errors", "counter", "times that the store could not be used", ("store",)),
    Series("pass_age_seconds", "gauge", "since a loop last made its pass; it should every 30 s", ("loop",)),
    Series("build_info", "gauge", "1, by what runs here", ("version", "python")),
)
LABELS = {series.name: set(series.labels) for series in SERIES}


class Metrics:
    """Telemetry over a registry of its own. What the table does not know is logged, once a name, and dropped."""

    def __init__(self, spans: Spans = no_span) -> None:
        self._registry = CollectorRegistry()
        self._unset = {series.name for series in SERIES if series.kind == "gauge" and not series.labels}
        self._made = {one.name: _made(one, None if one.name in self._unset else self._registry) for one in SERIES}
        self._unknown = set[str]()
        self._spans = spans
        ProcessCollector(registry=self._registry)
        for (
            name
        ) in PlatformName:  # from 0 on: of a series that begins with 1, `increase` sees nothing, and no alert fires
            self.count("parts_unknown", 0, platform=name.value)
        self.gauge("build_info", 1, version=__version__, python=platform.python_version())

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        if isinstance(series := self._series(name, labels), Counter):
            series.inc(max(0.0, by))

    def gauge(self, name: str, value: float, **labels: str) -> None:
        if isinstance(series := self._series(name, labels), Gauge):
            series.set(value)
            if name in self._unset:  # what nobody has said yet is not there; zero would be a word of its own
                self._unset.remove(name)
                self._registry.register(self._made[name])

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        if isinstance(series := self._series(name, labels), Histogram):
            series.observe(max(0.0, seconds))

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[None]:
        return self._spans(name, **attributes)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _series(self, name: str, labels: Mapping[str, str]) -> Counter | Gauge | Histogram | None:
        if LABELS.get(name) == set(labels):
            series = self._made[name]
            return series.labels(**labels) if labels else series
        if name not in self._unknown:
            self._unknown.add(name)
            logger.error("no such series", extra={"series": name, "labels": sorted(labels)})
        return None


def _made(series: Series, registry: CollectorRegistry | None) -> Counter | Gauge | Histogram:
    name = f"{PREFIX}_{series.name}"
    if series.kind == "histogram":
        return Histogram(name, series.help, series.labels, registry=registry, buckets=series.buckets)
    return (Counter if series.kind == "counter" else Gauge)(name, series.help, series.labels, registry=registry)


BEGIN, END = "<!-- metrics: made by `python -m bot.telemetry` -->", "<!-- end of metrics -->"
PAGE = Path(__file__).resolve().parent.parent / "docs" / "operations.md"


def table() -> str:
    """Every series as a row of a Markdown table."""
    rows = (
        f"| `{series.shown}` | {series.kind} | {', '.join(series.labels) or '–'} | {series.help} |" for series in SERIES
    )
    return "\n".join(["| series | kind | labels | what it is |", "|---|---|---|---|", *rows])


def main() -> None:
    """Replaces the table between the page's two marks."""
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN, 1)
    PAGE.write_text(f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
