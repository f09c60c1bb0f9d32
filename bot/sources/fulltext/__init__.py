"""What can be read of a paper: for now its abstract, labelled as such."""

from bot.models import Basis, FullText, Paper, Section


class AbstractTexts:
    """Full texts that are abstracts. The section's ID is the one that prompts and proofs know: S0."""

    async def fetch(self, paper: Paper) -> FullText:
        return FullText(paper.arxiv_id, Basis.ABSTRACT, (Section("S0", "", "Abstract", paper.abstract),))
