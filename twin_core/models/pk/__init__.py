"""Pharmacokinetic models and drugs."""
