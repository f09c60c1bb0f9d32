"""What a paper is worth and what it says."""
