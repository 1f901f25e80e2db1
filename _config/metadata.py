"""The package's description and links, which need the project's address.

``REPOSITORY_URL`` is where the project lives, ``SITE_URL`` where its book does;
where none is set, there are no links, and no picture that would be broken.
"""

import os
import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"(!\[[^\]]*\]\()([^):]+)(\))\n*")


class Metadata(MetadataHookInterface):
    """Fills in ``readme`` and ``urls``."""

    def update(self, metadata: dict) -> None:
        """Add the links, and give the README's pictures an address."""
        repository = os.environ.get("REPOSITORY_URL", "").rstrip("/")
        site = os.environ.get("SITE_URL", "")
        links = {"Documentation": site, "Repository": repository}
        metadata["urls"] = {name: url for name, url in links.items() if url}
        text = Path(self.root, "README.md").read_text("utf-8")
        raw = rf"\1{repository}/raw/main/\2\3" + "\n\n"
        text = PICTURE.sub(raw if repository else "", text)
        metadata["readme"] = {"text": text, "content-type": "text/markdown"}
