"""The terminal as a Channel: a document is its own payload, and `send` prints it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, TextIO, cast

from bot.errors import Outcome, SendError
from bot.interfaces import Errand, Thread
from bot.models import Address, Finding, Message, PartKind
from bot.report import document
from bot.report.document import Document, Span


class ConsoleChannel:
    """Prints on `stream`: standard output, or standard error when standard output belongs to `--json`."""

    def __init__(self, address: Address, stream: TextIO) -> None:
        self.address = address
        self._stream = stream

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        """One message a document; the layout waits for `send`, because the window may change its width."""
        return tuple(
            Message(PartKind.POST, each.key, json.dumps(_encoded(each), ensure_ascii=False)) for each in documents
        )

    async def turn(self, errand: Errand) -> float:
        """A terminal has no limits."""
        return errand.since

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:  # noqa: ARG002 - a terminal has no threads
        """Prints the message. Raises SendError(GONE) when nobody reads the stream any more."""
        from bot.channels.console.layout import laid_out  # rich takes a while to load

        text = laid_out(cast("Document", _decoded(json.loads(message.payload))), self._stream)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError) as error:  # a closed pipe, a closed file
            raise SendError("the terminal's stream is closed", Outcome.GONE) from error
        return (key,)

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:  # noqa: ARG002 - as above
        """None: what was printed went with its window, and printing again harms nobody."""
        return None

    async def edit(self, message_id: str, message: Message) -> None:
        """Nothing: what was printed stays, and progress is told elsewhere in a terminal."""

    async def preview(self, message: Message) -> bool:  # noqa: ARG002 - there are no previews
        return False

    async def check(self) -> Sequence[Finding]:
        return (Finding("ok", "channels", f"{self.address} prints in the terminal"),)


# --- the payload ---------------------------------------------------------------------------------------------------

_KINDS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        Document, Span, document.Heading, document.Paragraph, document.Mark, document.Item, document.Items,
        document.Section, document.RankingRow, document.Ranking, document.Fields, document.Note, document.Footer,
        document.Divider, document.Button, document.Picture,
    )
}  # fmt: skip


def _encoded(value: object) -> object:
    """Dataclasses as objects that name their kind (a Paragraph and a Footer have the same fields), tuples as lists."""
    if is_dataclass(value):
        content = {each.name: _encoded(getattr(value, each.name)) for each in fields(value)}
        return {"kind": type(value).__name__, **content}
    return [_encoded(each) for each in value] if isinstance(value, tuple) else value


def _decoded(value: Any) -> object:  # noqa: ANN401 - what json.loads returns
    if isinstance(value, dict):
        kind = _KINDS[value.pop("kind")]
        return kind(**{name: _decoded(each) for name, each in value.items()})
    return tuple(_decoded(each) for each in value) if isinstance(value, list) else value
