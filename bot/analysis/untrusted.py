"""Text from papers, models and people made safe to pass on: to models (`redact`) and to readers (`defang`). Pure.

Patterns here are a first net, not the wall: paper text stands in the user turn between delimiters that it cannot know,
every reply is checked against the paper, and links are built by code alone.
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

REDACTED = "[…]"


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a model may see of a text, and whether sentences addressed to a reader model were taken out."""

    text: str
    suspicious: bool


def clean(text: str) -> str:
    """`text` without what no reader sees (zero-width, bidi, tag and control characters) and in one spelling (NFKC).

    Superscripts, subscripts and fractions stay (NFKC would make 102 of 10²), and so does Chinese punctuation. A forged
    section line `[[S3]]` is defused.
    """
    visible = "".join(map(_legible, text))
    return unicodedata.normalize("NFC", visible).replace("[[", "[ [")


def redact(text: str) -> Redaction:
    """`text`, cleaned, with every sentence that gives a reader model instructions replaced by REDACTED."""
    pieces = _SENTENCE_END.split(clean(text))
    seen = [REDACTED if instructs(piece) else piece for piece in pieces]
    return Redaction("".join(seen), seen != pieces)


def instructs(sentence: str) -> bool:
    """Does this sentence tell a reader model what to do? Knows English and Chinese."""
    letters = unicodedata.normalize("NFKC", clean(sentence)).casefold()
    skeleton = " ".join(letters.translate(_LOOKALIKES).split())
    return any(pattern.search(skeleton) for pattern in _INSTRUCTIONS)


def defang(text: str, limit: int) -> str:
    """A model's sentence as it may be published: one line of inline Markdown (bold, italic, code) and TeX, no more.

    Links, images, HTML, headings, list marks, mentions, hashtags and commands lose what makes them work. The result has
    at most `limit` characters and is cut at a word, with an ellipsis.
    """
    text = _one_line(_unescaped(_visible(text)))
    while (stripped := _one_line(_stripped(text))) != text:
        text = stripped
    return _cut(text, limit)


def plain(text: str, limit: int) -> str:
    """A paper's or person's text as it may be shown as plain text: visible characters on one line, bounded."""
    return _cut(" ".join(_visible(text).split()), limit)


def is_error_text(text: str) -> bool:
    """Is this an error message or a refusal in the place of an analysis?"""
    return any(pattern.search(text) for pattern in _ERRORS)


def is_preamble(text: str) -> bool:
    """Does it open as a chat reply does ("作为计算机视觉专家…", "Sure, here is …") and not with what it has to say?"""
    return _PREAMBLE.match(text.replace("*", "").lstrip("_#> ")) is not None


# --- characters ---

_KEPT_CONTROLS = "\n\t"
_DROPPED = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks that print nothing
_KEPT_FORMS = ("<super>", "<sub>", "<fraction>")
_KEPT_SIGNS = frozenset("，：；！？（）…")  # NFKC would set Chinese in English punctuation
_LOOKALIKES = str.maketrans("аеорсухіјѕһԁɡӏοανικρτυχ’‘", "aeopcyxijshdgloavikptux''")


@lru_cache(maxsize=8192)
def _seen(character: str) -> str:
    """The character, a space for other white space, nothing for what prints nothing."""
    if character in _KEPT_CONTROLS:
        return character
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp"):
        return " "
    selector = "VARIATION SELECTOR" in unicodedata.name(character, "")
    return "" if category in _DROPPED or character in _INVISIBLE or selector else character


@lru_cache(maxsize=8192)
def _legible(character: str) -> str:
    kept = character in _KEPT_SIGNS or unicodedata.decomposition(character).startswith(_KEPT_FORMS)
    return _seen(character) if kept else "".join(map(_seen, unicodedata.normalize("NFKC", _seen(character))))


def _visible(text: str) -> str:
    return "".join(map(_seen, text))


# --- instructions to a reader model; matched on lower case, single-spaced, lookalike letters in Latin ---

_SENTENCE_END = re.compile(r"((?<=[.!?])\s+|(?<=[。！？；])|\n\s*\n)")
_MODEL = r"(?:ai|a\.i\.|llms?|gpt|chatgpt|(?:large )?language models?|machine|automated|artificial intelligence)"
_ROLE = r"(?:reviewers?|readers?|assistants?|systems?|models?|agents?|judges?|evaluators?|graders?|summari[sz]ers?)"
_PLEASE = r"\b(?:please|kindly|you (?:must|should|shall|will|need to|have to|are to)|and|then|to)\s+"
_START = rf"(?:^|[.!?:;,\]\)>\"'*-]\s*|{_PLEASE})"
_CALL = r"(?:notes?|messages?|attention|instructions?|requests?|reminders?|notice|dear|hey|hello|hi)"
_RATE = r"(?:give|assign|award|rate|score|grade|rank|mark)"
_INSTRUCTIONS = tuple(
    re.compile(pattern)
    for pattern in (
        # overrides
        (
            r"\b(?<!we )(?:ignore|disregard|forget|override|bypass|skip)\b.{0,30}"
            r"\b(?:all|any|previous|prior|above|earlier|preceding|your|other|system|those|these)\b.{0,30}"
            r"\b(?:instructions?|prompts?|rules|guidelines|directions|commands|criteria)"
        ),
        r"\b(?:from now on|you are now|new instructions?:|system prompt:|end of (?:the )?(?:paper|document|input))",
        (
            r"(?:忽略|无视|忘记|忘掉|不要理会|不用管|跳过|抛开)"
            r".{0,12}(?:以上|上述|上面|之前|此前|前面|先前|上文|所有|全部|一切|任何|系统|原有)"
            r".{0,12}(?:指令|提示|要求|规则|内容|设定|说明|标准)"
        ),
        r"你现在是|你将扮演|从现在(?:开始|起)[,，]?[你请]|新的?(?:指令|要求)[:：]|系统(?:提示|指令|消息)[:：]",
        # a model is spoken to
        rf"^\W*{_CALL}[ ,:]*(?:(?:to|for) )?(?:all |any |the )?{_MODEL}(?:[ -]{_ROLE}\b|\s*[:,])",
        rf"\bif you(?:'re| are) (?:an? |the )?(?:\w+ )?{_MODEL}\b",
        rf"\bas (?:an? |the )?{_MODEL}(?: {_ROLE})?,? (?:you|please|give|do|rate|score)\b",
        (
            r"(?:致|告|请|通知|提示|提醒|注意)[:：,， ]?(?:各位|所有)?(?:ai|人工智能|大?语言模型|大模型|智能)的?"
            r"(?:评审|审稿|读者|助手|模型|系统|阅读)"
        ),
        r"(?:如果|若|假如)[你您]是.{0,8}(?:ai|人工智能|模型|助手|机器人)",
        # verdicts
        (
            rf"{_START}(?:{_RATE}|set|return|output|respond with)\b.{{0,60}}"
            r"\b(?:maximum|highest|perfect|full|top|best possible|100|10/10|10 out of 10|ten)\b.{0,40}"
            r"\b(?:scores?|ratings?|reviews?|marks?|grades?|points|relevan\w+|topic|novelty)\b"
        ),
        (
            rf"{_START}{_RATE} (?:this|the|our) (?:paper|work|submission|article|manuscript)\b.{{0,40}}"
            r"\b(?:maximum|highest|perfect|full|top|high|positive|100|10)\b"
        ),
        (
            rf"{_START}(?:give|write|provide|output) (?:only )?(?:a |an )?(?:very |only )?"
            r"(?:positive|favou?rable|glowing) (?:review|summary|score)"
        ),
        r"\brecommend (?:it |this (?:paper|work) )?(?:for )?(?:a )?(?:strong )?accept(?:ance)?\b",
        (
            r"(?:给|打|评|赋|记|判)[予出为成上]?.{0,12}"
            r"(?:满分|最高分|高分|最高评价|(?:100|10|一百|十) ?分(?![之钟类割辨支]))"
        ),
        r"(?:只|仅)(?:写|给出?|输出)(?:正面|积极|好的?)的?(?:评价|评语|内容)",
        # what to say and what to hide
        (
            r"\b(?:do not|don't|never|avoid)\b.{0,20}"
            r"\b(?:mention|reveal|list|report|highlight|discuss|disclose|include)\w*\b.{0,30}"
            r"\b(?:negatives?|weakness(?:es)?|flaws?|drawbacks?|limitations|this (?:instruction|note|message|prompt))\b"
        ),
        (
            rf"{_START}(?:print|reply|respond|answer|say)\b "
            r"(?:only(?! if)|exactly|with (?:only|exactly|the (?:word|following)))\b"
        ),
        r"(?:请|务必|必须|你[应要需]该?)(?:务必|直接|只|仅|一定)*(?:输出|回复|返回|回答|打分|评分|评为|推荐)(?![了的])",
        (
            r"(?:不要|请勿|切勿|不得|别|禁止)(?:在.{0,8})?(?:提及|提到|指出|列出|说明|透露|讨论|批评)"
            r".{0,12}(?:缺点|不足|局限|缺陷|本?(?:提示|指令|消息))"
        ),
        # forged turns, replies and delimiters
        r"<\|?(?:im_start|im_end|system|user|assistant|endoftext)\|?>|\[/?inst\]|<</?sys>>",
        r"</?(?:system|assistant|instructions?)>",
        r"^\W*(?:system|assistant|developer)\s*:",
        r"[\"'](?:topic|method|novelty|rigor|score|suspicious|relevance)[\"']\s*:\s*[\"']?(?:\d|true|false)",
        r"</?paper\b|\[ ?\[\s*s\d+\s*\]",
    )
)

# --- what readers get ---

_TAG = r"</?[a-zA-Z][a-zA-Z0-9-]*(?:\s+[\w:-]+\s*=[^<>]*|\s+[a-z]+)?\s*/?>|<!--.*?(?:-->|$)|<[!?/][^<>]*>"
_SCHEME = r"(?:[a-z][a-z0-9+.-]{1,15}://|www\.|mailto:|javascript:|data:text)"
_TOP_LEVEL = (
    "com|org|net|edu|gov|io|ai|cn|me|dev|app|xyz|ru|co|info|ly|gg|to|link|site|top|tk"  # what chats link by itself
)
_COMMANDS = "href|url|includegraphics|html\\w*|class|cssId|style|input|include|write|g?def|newcommand|require|special"
_STRIPPED = (
    (re.compile(r"<(?:https?:|mailto:|tg:|[@#!])[^<>|]*\|([^<>]*)>"), r"\1"),  # <https://…|label>, <@U1|name>
    (re.compile(r"<(?:https?:|mailto:|tg:|[@#!])[^<>]*>"), ""),  # <https://…>, <!here>
    (re.compile(_TAG), ""),
    (re.compile(r"<(?=[!@#/])"), ""),  # what is left of one
    (re.compile(r"!?\[([^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)"), r"\1"),  # [label](address), ![label](address)
    (re.compile(r"!?\[([^\[\]]+)\]\[[^\[\]]*\]"), r"\1"),  # [label][reference]
    (re.compile(_SCHEME + r"[^\s<>(){}$（），。；、“”\]]*", re.IGNORECASE), ""),
    (re.compile(r"(?<=[\w.-])[@＠](?=[\w-]+\.[a-z])", re.IGNORECASE), " at "),  # an address; mAP@0.5 is none
    (re.compile(r"[@＠](?=[^\W\d]\w)"), ""),  # a mention; Recall@k and P@2 are none
    (re.compile(r"(?<![\w&])[#＃](?=[^\W\d])"), ""),  # a hashtag
    (re.compile(r"(?<![\w/.\\])/(?=[A-Za-z])"), ""),  # a bot's command
    (re.compile(rf"(?<=[\w-])\.(?=(?:{_TOP_LEVEL}|{_TOP_LEVEL.upper()})(?![A-Za-z0-9]))"), "[.]"),
    (re.compile(r"~~|```+"), ""),
    (re.compile(rf"\\(?:{_COMMANDS})\b"), ""),
)
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}\s+|>\s*|[-*+•]\s+|\d{1,2}[.)]\s+|\|)+", re.MULTILINE)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_FORMULA = re.compile(r"(\$[^$\n]+\$)")


def _one_line(text: str) -> str:
    return " ".join(_LINE_MARK.sub("", text).split())


def _unescaped(text: str) -> str:
    """Entities and backslashes outside formulas as Markdown would read them, so that nothing hides behind them."""
    pieces = _FORMULA.split(html.unescape(html.unescape(text)))
    return "".join(piece if piece.startswith("$") else _ESCAPE.sub(r"\1", piece) for piece in pieces)


def _stripped(text: str) -> str:
    for pattern, replacement in _STRIPPED:
        text = pattern.sub(replacement, text)
    return text


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, not in the middle of a word, a formula or a pair of marks."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    cut = cut[:space] if space > limit // 2 else cut
    for mark in ("$", "**", "`"):
        if cut.count(mark) % 2:
            cut = cut[: cut.rfind(mark)]
    return cut.rstrip() + "…"


# --- what must never pass for an analysis ---

_STATUS = r"(?:4(?:00|01|03|04|08|22|29)|5\d\d)"
_STATUS_WORD = (
    r"(?:error|too many|quota|rate|bad|unauthorized|forbidden|not found|service|internal|resource|client|server)"
)
_ERRORS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:error|status|code|http)\W{{0,3}}(?:code\W{{0,3}})?{_STATUS}\b|\b{_STATUS}\b\W{{0,3}}{_STATUS_WORD}",
        r"\b(?:quota exceeded|exceeded your (?:current )?quota|rate.?limit(?:ed| exceeded| reached))\b",
        r"\b(?:too many requests|invalid api key)\b",
        r"\b(?:resource_?exhausted|internal server error|service unavailable|bad gateway|gateway time-?out)\b",
        r"\btraceback \(most recent|\b\w+(?:Error|Exception):\s|^\s*(?:error|exception|failed)\b\s*[:：]",
        r"\bas an? (?:ai|artificial intelligence)\b(?: \w+){0,3},? i\b|\bas an? (?:ai|large )?language model,",
        r"^\W*(?:i(?:'m| am)? (?:sorry|unable|afraid)|sorry,|i apologi[sz]e|i (?:cannot|can't|could not|couldn't) )",
        r"(?:深度)?(?:分析|解读|评分|打分|生成|调用|请求)(?:失败|出错|异常|超时)\s*(?:[:：]|$)",
        r"请求过于频繁|配额(?:已)?(?:用完|不足|超限)|^\W*(?:抱歉|对不起|很遗憾)",
        r"我(?:无法|不能|没有办法)(?:访问|获取|读取|提供|查看|完成|回答)",
        r"作为(?:一个|一名|一款)?(?:ai|人工智能|大?型?语言模型)(?:语言|助手|模型)*[,，]",
    )
)
_PREAMBLE = re.compile(
    r"(?:作为|身为)(?:一名|一位|一个|你的|您的)?[^，。]{0,24}?(?:专家|研究员|研究者|学者|助手|评审|审稿人)"
    r"|好的[,，。！!]|当然[,，。！!可]|没问题[,，。]|以下(?:是|为)|下面(?:是|将|我|来)|根据[您你]"
    r"|(?:首先[,，])?让?(?:我|我们|本文)(?:将|来|会)(?:对|从|为[您你]).{0,24}(?:解析|分析|解读|介绍|总结)"
    r"|(?:sure|certainly|of course|absolutely|great)[,.!:]|here(?:'s| is| are)\b|below (?:is|are)\b"
    r"|as an? [^,.]{0,40}?(?:expert|researcher|reviewer|assistant)\b"
    r"|(?:in this (?:analysis|response|deep dive)|let me|i will|i'll|let's)\b",
    re.IGNORECASE,
)
