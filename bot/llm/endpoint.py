"""One configured model and all that is known of it while the process runs."""

from dataclasses import dataclass

from bot.llm.breaker import Breaker
from bot.llm.client import Access, Card
from bot.llm.dialect import Dialect, Mode
from bot.llm.failure import Failure


@dataclass(slots=True)
class Endpoint:
    """`dialect` changes when the endpoint refuses how it is asked; `noted` is what the store has of it."""

    card: Card
    access: Access
    breaker: Breaker
    dialect: Dialect
    noted: Dialect
    trusted: bool
    """The schema is surely enforced, so it need not be described in words, too."""

    @property
    def model(self) -> str:
        return self.card.model

    @property
    def describes(self) -> bool:
        return self.dialect.mode is not Mode.SCHEMA or not self.trusted

    def learn(self, spoken: Dialect, failure: Failure) -> None:
        """Asks differently from now on; nothing to do where another call has learnt it meanwhile."""
        if failure.refused is not None and self.dialect == spoken:
            self.dialect = spoken.without(failure.refused)
            self.breaker.cautious = True

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """USD at most; None without a known price."""
        if self.card.input_price is None or self.card.output_price is None:
            return None
        return input_tokens * self.card.input_price + output_tokens * self.card.output_price
