"""The bot's own page (Slack's App Home): the last digest with its ranking, and what the channels are set to."""

from bot.models import ChannelPlan
from bot.report import compose, document
from bot.report.compose.parts import plain
from bot.report.document import Document, Span
from bot.report.inline import visible
from bot.texts import Texts
from handlers.means import Means

CHANNELS_SHOWN = 10


async def home(means: Means, user: str, words: Texts) -> Document:
    """The newest report in the reader's language or any other, and the settings of the channels."""
    del user
    blocks: list[document.Block] = []
    buttons: tuple[document.Button, ...] = ()
    report = await means.newest_report(means.chats.profile.name, words.language) or await means.newest_report(
        means.chats.profile.name, means.chats.language
    )
    if report is None:
        blocks.append(document.Paragraph(plain(words("home.none"))))
    else:
        digest = compose.digest(report, words, links=means.daily.links)
        blocks += [document.Heading(digest.title), *digest.blocks]
        buttons = tuple(button for button in digest.buttons if button.url)  # no chat would show what others do
    blocks.append(document.Heading(plain(words("home.settings"))))
    blocks += [_settings(plan, words) for plan in means.chats.plans[:CHANNELS_SHOWN]]
    title = words("home.title")
    return Document("home", plain(title), tuple(blocks), title, words.language, buttons=buttons)


def _settings(plan: ChannelPlan, words: Texts) -> document.Fields:
    return document.Fields(
        (
            (visible(plan.name), (Span(plan.address.platform.value),)),
            (words("home.interests"), plain(visible(", ".join(plan.profile.interests)))),
            (words("home.schedule"), plain(f"{plan.time:%H:%M} ({plan.timezone})")),
            (words("home.language"), plain(plan.language)),
        )
    )
