"""One file a source of data; `SOURCES` lists them."""
