"""Where truth lives."""
