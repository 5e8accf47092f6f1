"""Everything a browser sees; the only code that imports dash."""
