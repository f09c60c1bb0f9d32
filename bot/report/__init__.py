"""What the reader sees, before any platform."""
