"""What only an imitation of turns, replies, tools or delimiters looks like, by its marks (on folded text). Pure."""

import re

_FIELD = r"(?:topic|method|novelty|rigou?r|score|suspicious|relevance|matched_interests|sub_?scores?|rating)"
_TEXT = r"(?:paper|document|input|article|manuscript|data|text|submission|abstract|untrusted\w*|user\w*|context)"
_RULE = r"(?:^|[<>\[(#=*_~-]{2,})\W{0,3}"  # the beginning, or a line drawn with signs
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # turns
        r"<\|?/?(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id|bos|eos)\|?>",
        r"\[/?inst\]|<</?sys>>",
        r"</?(?:system|assistant|instructions?|admin|developer|tool_?\w*|function_?\w*|result|prompt)>",
        r"^\W*(?:system|assistant|developer|tool|function|human|administrator|root)\s{0,2}(?:\(\w+\))?\s{0,2}:",
        r"^\W*#{1,4}\s{0,3}(?:system|instruction|response|new task|assistant|human|user|task|prompt)s?\b\W*$",
        r"^\W*#{1,4}\s{0,3}(?:system|new|updated) (?:message|instruction|prompt|task|turn)",
        r"={3,}\s{0,2}(?:user|system|repair|assistant)\s{0,2}={3,}",
        r"[\"'](?:role|tool|function|tool_call_id)[\"']\s{0,2}:\s{0,2}[\"'](?:system|user|assistant|tool|dev|score)",
        r"\b(?:tool|function)[ _](?:call|result|response|output|message)\b\W{0,3}[:={>]",
        r"\b(?:system|developer|admin\w*|operator) (?:prompt|message|notice|override|note|update)\s{0,2}[:：>\]]",
        r"系统(?:提示词?|指令|消息|通知)\s{0,2}[:：]|新的?(?:指令|要求|任务)\s{0,2}[:：]|(?:用户|助手|系统)[:：]",
        r"```\s{0,2}(?:system|instruction|prompt)",
        r"^\W*(?:ai|a\.i\.|llms?|bots?|language models?|chatbots?)\W{0,2}[:：](?!:)",
        # replies
        r"\bpaper \w\b.{0,40}(?:->|=>|→)\s{0,2}(?:100|10|9\d|ten)\b",
        r"(?:min(?:imum)?|default|final|base|overall|total)[ _]score\s{0,2}[:=]\s{0,2}(?:10|100|9\d|ten)\b(?!\.)",
        rf"[\"']{_FIELD}[\"']\s{{0,3}}:\s{{0,3}}[\"'\[]?(?:\d|true|false)",
        r"[\"'](?:quote|kind|reason|section)[\"']\s{0,3}:\s{0,3}[\"']",
        rf"(?:^|[\s,;{{(|*-]){_FIELD}\W{{0,3}}[:=]\W{{0,3}}(?:10|100|9\d|ten|true|false|fullmarks)\b(?!\.\d)",
        rf"<{_FIELD}>\s{{0,3}}(?:\d|true|false)",
        r"(?:评分|得分|分数|总分|相关性|新颖性|严谨性)\s{0,2}[:：=]\s{0,2}(?:10|100|满)",
        # orders that their word order tells
        r"(?:请|务必|必须|你[应要需]该?)(?:务必|直接|只|仅|一定)*(?:输出|回复|返回|回答|打分|评分|评为|推荐)(?![了的])",
        r"(?:只|仅)(?:写|给出?|输出)(?:正面|积极|好的?)的?(?:评价|评语|内容)",
        # delimiters
        r"</?paper\b|[<\[(]{2,3}\s{0,2}/?(?:end of )?paper\b|\[ ?\[\s{0,3}s\s{0,2}\d{1,3}\s{0,2}\]",
        rf"{_RULE}(?:end|begin(?:ning)?|start) of (?:the )?(?:new |next |actual |real )?{_TEXT}\b(?! \w)",
        rf"{_RULE}/?{_TEXT} (?:ends?|begins?|starts?|is over|finished)(?: here)?\W{{0,3}}$",
        r"(?:论文|正文|文档|输入|全文|材料)(?:到此)?(?:结束|完毕)",
    )
)


def forged(text: str) -> bool:
    """Does folded `text` imitate what only code or a model writes?"""
    return any(pattern.search(text) for pattern in _PATTERNS)
