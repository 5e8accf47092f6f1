"""The twin: physiology, forecasting, identification and advice, whole and usable without a browser."""
