"""What a paper is worth to a profile: the model gives four sub-scores and a quote, code does the rest."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from pydantic import BaseModel, ConfigDict, Field

from bot.analysis import grounding, untrusted
from bot.interfaces import LLM, Brief, Turn
from bot.models import AnalystKind, Band, Paper, Score, SubScores
from prompts import Prompt

WEIGHTS: Mapping[str, Decimal] = {
    "topic": Decimal("0.5"),
    "method": Decimal("0.2"),
    "novelty": Decimal("0.15"),
    "rigor": Decimal("0.15"),
}
BANDS: tuple[tuple[int, Band], ...] = ((90, "excellent"), (75, "good"), (60, "fair"))  # from this score on
UNPROVEN_TOPIC = 5  # the most that a topic counts whose quote does not stand in title or abstract
REASON_LENGTH = 240  # characters: four times what the prompt asks for in Chinese, enough for its 35 English words


class ScoreReply(BaseModel):
    """What the model fills in. The quote and the reason come first, so that the numbers follow from them."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    quote: str
    reason: str
    matched_interests: list[str]
    topic: int = Field(ge=0, le=10)
    method: int = Field(ge=0, le=10)
    novelty: int = Field(ge=0, le=10)
    rigor: int = Field(ge=0, le=10)
    suspicious: bool


def value(sub: SubScores) -> int:
    """0-100: ten times the weighted sub-scores, halves rounded up."""
    weighted = sum(weight * getattr(sub, name) for name, weight in WEIGHTS.items())
    return int((10 * weighted).to_integral_value(ROUND_HALF_UP))


def band(value: int) -> Band:
    """The word for a score."""
    return next((name for least, name in BANDS if value >= least), "low")


async def score(paper: Paper, brief: Brief, llm: LLM, prompt: Prompt) -> Score:
    """Asks once. Raises ModelError."""
    title, abstract = untrusted.redact_all((paper.title, paper.abstract))
    texts = prompt.render(
        interests=brief.profile.interests,
        exclude=brief.profile.exclude,
        audience=brief.profile.audience,
        title=title.text,
        abstract=abstract.text,
    )
    turns = (Turn("system", texts[0]), Turn("user", texts[1]))
    reply = await llm.ask("score", turns, ScoreReply, brief.meter)
    quote = grounding.find_quote(reply.value.quote, abstract.text) or grounding.find_quote(
        reply.value.quote, title.text
    )
    sub = _sub_scores(reply.value, proven=quote is not None)
    return Score(
        value=value(sub),
        sub=sub,
        reason=reason(reply.value.reason),
        quote=untrusted.plain(quote or "", len(quote or "")),
        matched_interests=_matched(reply.value.matched_interests, brief.profile.interests),
        suspicious=reply.value.suspicious or title.suspicious or abstract.suspicious,
        analyst=AnalystKind.MODEL,
        model=reply.model,
        prompt=prompt.ref,
    )


def reason(text: str) -> str:
    """A model's reason as it may be published; "" for what is no reason."""
    return "" if untrusted.is_error_text(text) else untrusted.defang(text, REASON_LENGTH)


def _sub_scores(reply: ScoreReply, *, proven: bool) -> SubScores:
    topic = reply.topic if proven else min(reply.topic, UNPROVEN_TOPIC)
    return SubScores(topic, reply.method, reply.novelty, reply.rigor)


def _matched(named: list[str], interests: tuple[str, ...]) -> tuple[str, ...]:
    """The profile's own interests among `named`, in the profile's order and spelling."""
    known = {name.strip().casefold() for name in named}
    return tuple(interest for interest in interests if interest.strip().casefold() in known)
