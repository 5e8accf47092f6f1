"""Design tokens and one plotly template a mode."""
