"""`gtalk studio`: record yourself in the browser, have the avatar made, meet it, all on one page."""
