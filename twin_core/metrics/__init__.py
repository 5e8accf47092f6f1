"""Numbers that describe glucose and forecasts: one file a family."""
