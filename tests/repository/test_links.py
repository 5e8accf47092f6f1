"""Links between the documents lead somewhere."""

import re
from pathlib import Path

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")


def test_every_relative_link_in_the_documents_leads_to_a_file(root: Path, files: list[Path]) -> None:
    documents = [file for file in files if file.suffix == ".md"]
    links = [(file, target) for file in documents for target in LINK.findall((root / file).read_text())]
    assert links
    assert [f"{file}: {target}" for file, target in links if not (root / file.parent / target).exists()] == []
