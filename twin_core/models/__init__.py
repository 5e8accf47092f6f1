"""Equations and declarations, nothing else; `catalog` lists them."""
