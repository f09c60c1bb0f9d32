"""Every word that the bot itself says, one TOML file a language, and the loader of those files."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources

from bot.errors import BotError, SettingsError


class Texts:
    """The words of one language: `texts("digest.title", day="2026-02-25")`.

    A missing key is a programming error and raises KeyError; `tests/test_texts.py` holds the languages to the same keys
    and the same placeholders.
    """

    def __init__(self, language: str, words: Mapping[str, str]) -> None:
        self.language = language
        self._words = dict(words)

    def spelled(self, spell: Callable[[str], str]) -> "Texts":
        """The same words, each wording as `spell` writes it; what fills its places is not touched."""
        return Texts(self.language, {key: spell(wording) for key, wording in self._words.items()})

    def __call__(self, key: str, **values: object) -> str:
        return self._words[key].format(**values)

    def __contains__(self, key: object) -> bool:
        return key in self._words

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def error(self, error: BotError) -> str:
        """What a reader is told of `error`: its key's wording, never its own message."""
        return self(error.key, **error.values)


def languages() -> tuple[str, ...]:
    """The languages there is a file for, sorted: adding one is adding its file."""
    names = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def load(language: str) -> Texts:
    """The words of `language` ("zh", "en"). Raises SettingsError for a language without a file."""
    if language not in languages():
        raise SettingsError(f"language: no texts for {language!r}; there are {', '.join(languages())}")
    content = resources.files(__name__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return Texts(language, dict(_flatten("", tomllib.loads(content))))


def _flatten(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", str(value)
