"""Small builders of what pages are made of."""
