"""Every operator in plain torch: what the compiled ones are tested against, and the way out without them."""
