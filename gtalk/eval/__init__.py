"""How good an avatar is, on frames it never saw: numbers with stable names, and a report to look at."""
