"""What is wrong with a point's words alone, and with a quote's: rules that no paper has to be asked about. Pure."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

MIN_WORDS = 4  # of a quote; fewer say nothing, but for a number with its name and the cells of a table
ALIKE = 0.9  # difflib's ratio from which two texts with the same numbers say the same
MIN_ECHO = 12  # letters, a Chinese character counting for two; less is a name, or a choice that the question offers
_CHARACTERS_A_WORD = 2  # Chinese
_LEAST_CHINESE = 0.15  # share of Chinese characters among these and Latin words, in a text full of method names
_MOST_CHINESE = 0.2  # in an English text

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_NOT_PROSE = re.compile(r"\$[^$]*\$|`[^`]*`|“[^”]*”|\"[^\"]*\"")  # formulas, code and quotations
# What points somewhere and says nothing: "[12, 13]", "(Example et al., 2024)", "Fig. 3(a)", "Section 4.2", "见表 2".
_REFERENCE = re.compile(
    r"\[[\d,;–\- ]+\]|\([^()]*\b(?:19|20)\d\d[a-z]?\)"
    r"|\b(?:fig(?:ure|s)?|tab(?:le)?|sec(?:tion|t)?|eq(?:uation|n)?|alg(?:orithm)?|appendix|supp(?:lementary|l)?)s?\b\.?"
    r"\s*\(?(?:\d[\d.]*|(?-i:[A-Z])(?:\.\d+)*\b)\)?(?:\s*\([a-z]\))?"
    r"|§\s*[\d.]+|(?:见)?(?:图|表|式|第)\s*[\d.()（）]+\s*[节章]?",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"\b(?:see|as|are|is|we|refer|shown?|given|listed|depicted|illustrated|in|on|to|by|and|or|for|of|the|more|details?)\b",
    re.IGNORECASE,
)


def in_language(text: str, language: str) -> bool:
    """Is `text` written in `language`? Languages without a rule pass."""
    prose = _NOT_PROSE.sub(" ", text)
    chinese = len(_CHINESE.findall(prose))
    letters = chinese + len(re.findall(r"[^\W\d_\u3400-\u9fff]{2,}", prose))
    if not letters:
        return True
    return {"zh": chinese >= _LEAST_CHINESE * letters, "en": chinese <= _MOST_CHINESE * letters}.get(language, True)


def is_slight(quote: str, headings: Iterable[str]) -> bool:
    """Is the quote a mere heading, reference or scrap of words, on which nothing can rest?"""
    if folded(quote) in {folded(heading) for heading in headings}:
        return True
    said, references = _REFERENCE.subn(" ", quote)
    said = _POINTING.sub(" ", said) if references else said
    cells = [cell for cell in said.split("|") if re.search(r"\w", cell)]
    figures = re.findall(r"\d+(?:\.\d+)?", said)
    if figures and (len(cells) > 1 or re.search(r"[^\W\d_]{2,}", said)):
        return False
    characters = len(_CHINESE.findall(said))
    words = len(re.findall(r"[^\W_]+", _CHINESE.sub(" ", said)))
    return words + characters / _CHARACTERS_A_WORD < MIN_WORDS


def is_repeated(text: str, other: str) -> bool:
    """Do two texts say the same, with the same numbers, in nearly the same words?"""
    one, two = folded(text), folded(other)
    if re.findall(r"\d+", one) != re.findall(r"\d+", two):
        return False
    return SequenceMatcher(None, one, two, autojunk=False).ratio() >= ALIKE


def is_echo(text: str, question: str, quote: str) -> bool:
    """Does `text` stand in the question word for word, and not in the quote that it rests on?

    Who asks whether a thing is so may be told so in the same words where the paper has them.
    """
    said = folded(text).replace(" ", "")
    long = len(said) + len(_CHINESE.findall(said)) >= MIN_ECHO
    return long and said in folded(question).replace(" ", "") and said not in folded(quote).replace(" ", "")


def folded(text: str) -> str:
    """Its words alone, in one case."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


# --- inferred, but worded as the paper's own finding ---

_SENTENCE = re.compile(r"[^。！？；;]*?(?:[。！？；;]|[.!?](?=\s|$)|$)")
_SAYS = (
    r"(?:shows?|showed|proves?|proved|demonstrates?|demonstrated|reports?|reported|states?|stated|claims?|claimed|finds?"
    r"|found|argues?|argued|notes?|noted|says?|said|admits?|admitted|acknowledges?|acknowledged|confirms?|confirmed"
    r"|concludes?|concluded|observes?|observed|reveals?|revealed)"
)
_SAYS_ZH = r"(?:证明|证实|指出|报告|表明|显示|写道|写明|声称|宣称|承认|强调|发现|得出|验证)"
_CLAIM = re.compile(
    rf"\b(?:the|this) (?:paper|work|study|article)(?:'s \w+)? (?:also |clearly |explicitly )?{_SAYS}\b"
    rf"|\b(?:the )?authors?(?: themselves)? (?:also |clearly |explicitly |openly )?{_SAYS}\b"
    rf"|\b(?:experiments?|results|ablations?) (?:in the paper |of the paper )?(?:also |clearly )?{_SAYS}\b"
    r"|\baccording to the (?:paper|authors)\b|\bas (?:reported|shown|stated|noted) (?:in|by) the (?:paper|authors)\b"
    rf"|(?:论文|作者|文中|原文|文章|实验(?:结果)?|消融(?:实验)?)(?:中|里|们|自己)?(?:已经?|也|还|都|明确|清楚地?|进一步|的?实验)?{_SAYS_ZH}",
    re.IGNORECASE,
)
# A sentence that judges says so, or speaks of what the paper does not do, which no quote can show.
_JUDGES = re.compile(
    r"\b(?:not?|never|none|nor|neither|without|only|just|merely|few|little|lacks?|missing|omits?|leaves?|could|can"
    r"|may|might|should|would|worth|perhaps|probably|likely|seems?|appears?|suggests?|if|whether|but|however|although"
    r"|though|while|unclear|open|untested|unless|try|test|check)\b|n['’]t\b"
    r"|[没未不无非缺仅但若]|只(?![需要用有])|可以|可能|也许|或许|大概|应当|应该|值得|需要|如果|假如|是否|建议|推测|看来|似乎|不过|虽然|尽管|然而|先|试",
    re.IGNORECASE,
)


def is_posed(text: str) -> bool:
    """Does a sentence of it claim that the paper found or said something, without a word of judgement?

    Conservative: a sentence that also weighs, doubts or names what is missing passes.
    """
    sentences = (found[0] for found in _SENTENCE.finditer(_NOT_PROSE.sub(" ", text)))
    return any(_CLAIM.search(sentence) and not _JUDGES.search(sentence) for sentence in sentences)
