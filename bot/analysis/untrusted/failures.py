"""What must never pass for an analysis: error messages, refusals, and openings of a chat. Pure."""

import re


def is_error_text(text: str) -> bool:
    """Is this an error message or a refusal in the place of an analysis?"""
    return any(pattern.search(text) for pattern in _ERRORS)


def is_preamble(text: str) -> bool:
    """Does it open as a chat reply does ("作为计算机视觉专家…", "Sure, here is …") and not with what it has to say?"""
    return _PREAMBLE.match(text.replace("*", "").lstrip("_#> ")) is not None


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
