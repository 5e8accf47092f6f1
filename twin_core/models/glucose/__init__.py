"""Glucose-insulin models, one file each."""
