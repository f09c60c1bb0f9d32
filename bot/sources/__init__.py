"""Where lists and papers come from."""
