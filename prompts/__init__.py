"""The prompts, one file a name and language, and their loader."""
