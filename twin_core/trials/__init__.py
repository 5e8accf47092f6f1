"""Virtual people, and what is asked of many of them."""
