"""An avatar for the visitor's browser: what it is (`pack`), what it says (`message`), a folder to serve (`site`)."""
