"""Drugs, one file each."""
