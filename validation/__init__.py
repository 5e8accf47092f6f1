"""Slow checks against peers and real data, run by `make validate`: a case is one file and one line of `CASES`."""
