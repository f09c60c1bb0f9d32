"""Characters of untrusted text: what no reader sees is taken out, what looks alike is read alike. Pure."""

import re
import unicodedata
from collections.abc import Callable

_KEPT_CONTROLS = "\n\t"
_DROPPED = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks that print nothing
_KEPT_FORMS = ("<super>", "<sub>", "<fraction>")
_KEPT_SIGNS = frozenset("，：；！？（）…")  # NFKC would set Chinese in English punctuation
_MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILE = re.compile(f"({_MARKS}{{2}}){_MARKS}+")  # no alphabet needs more than two on one letter
_SECTION_LINE = re.compile(r"\[(?=\s?\[+\s*[sS]\s*\d)")
_KNOWN = 32_768  # characters whose translation is remembered


class _Table(dict[int, str]):
    """For str.translate: asks `rule` once for every character that turns up."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, code: int) -> str:
        if len(self) >= _KNOWN:  # a text of nothing but rare characters must not fill the memory
            self.clear()
        self[code] = value = self._rule(chr(code))
        return value


def clean(text: str) -> str:
    """`text` without what no reader sees (zero-width, bidi, tag and control characters) and in one spelling (NFKC).

    Superscripts, subscripts and fractions stay (NFKC would make 102 of 10²), and so does Chinese punctuation. A forged
    section line `[[S3]]` is defused; other brackets, as of a matrix, stay.
    """
    legible = text.translate(_LEGIBLE)
    if not legible.isascii():
        legible = _PILE.sub(r"\1", unicodedata.normalize("NFC", legible))
    return _SECTION_LINE.sub("[ ", legible) if "[" in legible else legible


def visible(text: str) -> str:
    """`text` without what no reader sees, otherwise as it is spelled."""
    return text.translate(_SEEN)


def folded(text: str) -> str:
    """`text` for comparing: lower case, no accents, lookalike letters of any script in Latin, simplified Chinese."""
    return text.translate(_FOLDED)


def _seen(character: str) -> str:
    """The character, a space for other white space, nothing for what prints nothing."""
    if character in _KEPT_CONTROLS:
        return character
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp"):
        return " "
    selector = "VARIATION SELECTOR" in unicodedata.name(character, "")
    return "" if category in _DROPPED or character in _INVISIBLE or selector else character


def _legible(character: str) -> str:
    kept = character in _KEPT_SIGNS or unicodedata.decomposition(character).startswith(_KEPT_FORMS)
    return _seen(character) if kept else "".join(map(_seen, unicodedata.normalize("NFKC", _seen(character))))


# --- letters that look alike ---

# Cyrillic, Greek, Armenian, Cherokee, Lisu, Coptic and phonetic letters, by what they are taken for.
_TAKEN_FOR = (
    "a:аαɑⲁꭺꓮᎪ b:вьβЬᏏꓐᏴꮟ c:сⅽϲςᏟꓚⲥᴄ d:ԁꓓᎠᏧժɗ e:еεєɛЄᎬꓰҽⲉ f:ꓝϝƒք g:ɡցᏀᏳꓖɢԍ h:нһՀհҺᎻꓧի i:іιΙӀɩıӏᎥꓲ"
    " j:јյᎫꓙϳ k:кκᏦꓗⲕ l:ւᏞꓡ m:мΜᎷꓟⲙ n:пπηΝոռꓠրᏁ o:оοσօⲟᎤꓳՕѳө p:рρΡբꓑᏢⲣ q:ԛզգϙ r:гᎡᏒꓣɾⲅ s:ѕՏꓢᏚᏕѡ"
    " t:тτΤᎢꓔⲧէ u:иυսμʋꓴՍ v:νѵᏙꓦ w:ԝωաᏔᎳꓪ x:хχΧꓫⲭ y:уγΥүყꓬᎩ z:ᏃꓜΖζⲍ"
    " ':’‘`´ʼ "
)
_ALIKE = {ord(each): pair[0] for pair in _TAKEN_FOR.split() for each in pair[2:]} | {ord("Η"): "h", ord("Υ"): "y"}
# Traditional characters of the words in lexicon.toml, and the simplified ones.
_CHINESE = str.maketrans(
    "評審論滿給請務須視無記過條則規標準設說內語統獲為與這該個數經權錄複復顯洩鑰譯執隱刪瞞價點對議員閱讀總結報寫應當從現開裝機動項嚴"
    "謹穎關鏈連廣號網優維碼題侷讓輸處別棄拋們後將級極測試訴導獎賦師專學術體會貼幫煩懇調資確認單種進簡繁顧彈覽據範發經運營",
    "评审论满给请务须视无记过条则规标准设说内语统获为与这该个数经权录复复显泄钥译执隐删瞒价点对议员阅读总结报写应当从现开装机动项严"
    "谨颖关链连广号网优维码题局让输处别弃抛们后将级极测试诉导奖赋师专学术体会贴帮烦恳调资确认单种进简繁顾弹览据范发经运营",
)
_LETTER_IN_NAME = re.compile(
    r"(?:LATIN (?:SMALL|CAPITAL)?|REGIONAL INDICATOR SYMBOL|LATIN) ?LETTER (?:SMALL CAPITAL )?"
    r"(?:TURNED |REVERSED |SIDEWAYS |DOTLESS |OPEN |INSULAR )*([A-Z])\b"
)
_NO_MARK = frozenset({"Mn", "Me"})


def _folded(character: str) -> str:
    if alike := _ALIKE.get(ord(character)):
        return alike
    spelled = unicodedata.normalize("NFKC", character).casefold()
    return "".join(map(_one_folded, spelled))


def _one_folded(character: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFD", character) if unicodedata.category(c) not in _NO_MARK)
    bare = unicodedata.normalize("NFC", bare).translate(_ALIKE).translate(_CHINESE)
    if bare.isascii() or len(bare) != 1:
        return bare
    named = _LETTER_IN_NAME.search(unicodedata.name(bare, ""))
    return named[1].lower() if named else bare


_SEEN, _LEGIBLE, _FOLDED = _Table(_seen), _Table(_legible), _Table(_folded)
