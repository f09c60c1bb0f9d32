"""A question answered from a paper: the model writes points, code proves each, and what stays unproved is no answer."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from bot.analysis import points, proofs, questions, wording
from bot.analysis.asking import UNGROUNDED, Inquiry, Task, Written, input_budget
from bot.analysis.extractive.questions import touched
from bot.analysis.points import Fault, PointReply, Proof, Reading, Rule
from bot.analysis.proofs import Proofs
from bot.errors import ModelError
from bot.interfaces import LLM, Brief
from bot.models import AnalystKind, Answer, Basis, FullText, PointKind, Question
from prompts import Prompt

MOST_POINTS = 6  # the prompt asks for at most four
EARLIER_SHARE = 10  # one in so many tokens of the budget may tell of the talk before
MATCHING_SENTENCES = 8  # where so many of them stand is read first, of a paper that does not fit
EXEMPT = frozenset({Rule.RESTATED})  # what the title or the abstract says may be the answer
KEY = "points"


class AnswerReply(BaseModel):
    """The model's answer: its points, none where the paper does not answer."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    points: list[PointReply]
    answerable: bool


async def answer(question: Question, full_text: FullText, brief: Brief, llm: LLM, prompt: Prompt) -> Answer:
    """One call, and one more when something has to be repaired; without points where the paper says nothing.

    Raises ModelError; its key is `failure.ungrounded` when points were written and not one stands.
    """
    question = questions.tidied(question)
    earlier = questions.recent(question.earlier, await input_budget(llm) // EARLIER_SHARE)
    # Looking for instructions takes a second for the longest papers, in which the event loop is wanted elsewhere.
    whole = await asyncio.to_thread(points.read, question.paper, full_text)
    task = _task(replace(question, earlier=earlier), full_text.basis, brief, prompt)
    drafts = await Inquiry(task, brief, llm).drafts(whole)
    stands, counts = proofs.merged(drafts.first.proofs, drafts.second.proofs if drafts.second else {}, MOST_POINTS)
    standing = stands.get(KEY, ())
    if counts.written and not standing and drafts.last.proofs:
        raise ModelError("no point of the answer stands", key=UNGROUNDED)
    return Answer(
        paper=question.paper,
        question=question.text,
        language=brief.language,
        basis=full_text.basis,
        analyst=AnalystKind.MODEL,
        model=drafts.first.reply.model,
        prompt=prompt.ref,
        points=standing,
        counts=counts,
        outline=tuple(replace(section, text="", figures=()) for section in whole.sections),
        flags=drafts.flags,
        cost_usd=drafts.cost_usd,
        left_out=drafts.reading.left_out,
    )


def _task(question: Question, basis: Basis, brief: Brief, prompt: Prompt) -> Task:
    def wanted(whole: Reading) -> Collection[str]:
        return touched(question.text, whole.sections, whole.appendix, MATCHING_SENTENCES)

    profile = brief.profile
    values = {
        "interests": profile.interests,
        "exclude": profile.exclude,
        "audience": profile.audience,
        "basis": basis.value,
        "question": question.text,
        "earlier": question.earlier,
    }
    return Task(
        prompt,
        values,
        AnswerReply,
        _written,
        lambda written, reading: _prove(written, reading, question.text, brief.language),
        wanted,
    )


def _written(reply: BaseModel) -> Written:
    """Nothing where the model says that the paper does not answer, whatever it writes beside."""
    return {KEY: reply.points} if isinstance(reply, AnswerReply) and reply.answerable else {}


def _prove(written: Written, reading: Reading, question: str, language: str) -> Proofs:
    """As of a deep dive; but a point falls that says what the question dictates, and so do inferred points where
    nothing that the paper states stands beside them.
    """
    found = proofs.prove(written, reading, language, EXEMPT)
    found = {
        key: [_unless(Rule.ECHO, proof, _is_echo(proof, question)) for proof in each] for key, each in found.items()
    }
    stated = any(proof.point and proof.point.kind is PointKind.STATED for proof in found.get(KEY, ()))
    return {key: [_unless(Rule.ALONE, proof, not stated) for proof in each] for key, each in found.items()}


def _is_echo(proof: Proof, question: str) -> bool:
    """Is the point's text a passage of the question, and not of its quote?"""
    return proof.point is not None and wording.is_echo(proof.point.text, question, proof.point.quote)


def _unless(rule: Rule, proof: Proof, broken: bool) -> Proof:  # noqa: FBT001 - a verdict, not a switch
    return Proof(None, (*proof.faults, Fault(rule))) if proof.point and broken else proof
