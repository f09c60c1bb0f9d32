"""What runs in the worker process that reads PDFs; the parent's side is `bot.sources.fulltext.pdf`.

Apart from the rest, and importing none of it, so that the process starts in milliseconds and holds nothing to steal.
"""
