"""Pure functions: data in, figure out; no Dash, no services."""
