"""The README's table of settings, made from the settings models: `python -m config.table` writes it in place."""

from collections.abc import Iterator
from datetime import time
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.settings import ChannelSettings, ProfileSettings, Section, Settings

BEGIN, END = "<!-- settings: made by `python -m config.table` -->", "<!-- end of settings -->"
README = Path(__file__).resolve().parent.parent / "README.md"


def table() -> str:
    """Every setting as a row of a Markdown table."""
    return "\n".join(["| setting | default | what it does |", "|---|---|---|", *_rows()])


def _rows() -> Iterator[str]:
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from _section(name, info.annotation)
        elif name not in ("profiles", "channels"):
            yield _row(name, info)
    yield from _section("[[profiles]] ", ProfileSettings)
    yield from _section("[[channels]] ", ChannelSettings)


def _section(name: str, model: type[BaseModel]) -> Iterator[str]:
    separator = "" if name.endswith(" ") else "."
    for key, info in model.model_fields.items():
        if not key.endswith("_file"):
            yield _row(f"{name}{separator}{key}", info)


def _row(name: str, info: FieldInfo) -> str:
    described = (info.description or "").replace("|", "\\|")
    if info.annotation is not None and "SecretStr" in str(info.annotation):
        described += f"; or `{name.rsplit('.', 1)[-1]}_file`"
    return f"| `{name}` | {_default(info)} | {described} |"


def _default(info: FieldInfo) -> str:
    value = info.default
    if info.is_required():
        return "*needed*"
    if value is None or value == "" or value == () or isinstance(value, SecretStr):
        return "–"
    if isinstance(value, time):
        value = f"{value:%H:%M}"
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{', '.join(map(str, value)) if isinstance(value, tuple) else value}`"


def main() -> None:
    """Replaces the table between the README's two marks."""
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    README.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
