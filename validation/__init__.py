"""Slow checks against peers and real data, by `make validate`; each case is one file and one line of `__main__.CASES`."""
