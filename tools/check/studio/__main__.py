"""`python -m tools.check.studio`: see `journey`."""

from tools.check.studio.journey import main

main()
