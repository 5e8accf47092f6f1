"""One file a page; `PAGES` lists them."""
