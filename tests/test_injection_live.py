"""What `make injection-live` prints and when it fails; the small model itself where it is installed."""

import json

import pytest

from bot.interfaces import Reply
from tests import injection_live
from tests.injection import attacks
from tests.injection_live import chosen, run, small_model

OVERT = [attack for attack in attacks() if attack.style == "overt" and attack.language == "en"][:3]


class Gullible:
    """Gives tens as soon as one of `words` stands in what it is shown."""

    model = "stand-in/gullible"
    max_input_tokens: int | None = None

    def __init__(self, *words):
        self.words = words

    async def ask(self, name, turns, schema, meter):
        del name, meter
        value = 10 if any(word in turns[-1].content for word in self.words) else 1
        fields = {"quote": "", "reason": "x", "matched_interests": [], "suspicious": False}
        text = json.dumps(fields | dict.fromkeys(("topic", "method", "novelty", "rigor"), value))
        return Reply(schema.model_validate_json(text), text, self.model)

    async def context(self):
        return None


async def test_what_the_attacks_did_is_shown_by_style(capsys):
    assert await run(Gullible(*(attack.payload for attack in OVERT)), "en", OVERT) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "the paper alone: 10 raw, 10 defended" in printed[0]
    [overt] = [line for line in printed if line.startswith("overt")]
    assert overt.split() == ["overt", "3", "3/3", "+90", "0/3", "+0"]


async def test_a_defended_score_that_moves_is_a_failure_and_named(capsys):
    assert await run(Gullible("[…]"), "en", OVERT[:1]) == 1
    assert f"{OVERT[0].id}: +65 defended" in capsys.readouterr().out  # not +90: the topic's quote is missing


def test_one_attack_of_each_style_and_language_is_tried_unless_all_are_wanted():
    few = chosen(everything=False, limit=None)
    assert {(attack.style, attack.language) for attack in few} == {(a.style, a.language) for a in attacks()}
    assert len(few) < len(attacks()) == len(chosen(everything=True, limit=None))
    assert len(chosen(everything=True, limit=2)) == 2


@pytest.mark.slow
async def test_the_small_model_answers_in_the_schema(capsys):
    pytest.importorskip("xllamacpp", reason="make injection-live installs the small model", exc_type=ImportError)
    await run(small_model(), "en", OVERT[:1])
    assert "smollm2" in capsys.readouterr().out


def test_where_there_is_no_model_the_cure_is_named(monkeypatch):
    # Whether the package is installed is the machine's matter, not the test's.
    monkeypatch.setattr(injection_live, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="PAPERBOY_LLM__MODEL"):
        small_model()
