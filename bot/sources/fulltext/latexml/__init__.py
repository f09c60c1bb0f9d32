"""The reader of arXiv's HTML pages, which LaTeXML makes: a page comes in as bytes, sections and figures come out. Pure.

Known are the families of LaTeXML 0.8 (ar5iv, arXiv until 2025) and "oxide" (arXiv since), which share their classes:
https://math.nist.gov/~BMiller/LaTeXML/manual/.
"""

from bot.sources.fulltext.latexml.page import read

__all__ = ["read"]
