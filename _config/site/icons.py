"""The theme's icons, minus those no page shows: 20 kB less on a first view.

pydata-sphinx-theme sends a rule for each of Font Awesome's 2,000 icons, and
copies a script of 1.5 MB that no page of ours loads.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

RULE = re.compile(r"(?<=})(\.fa-[^{}]+){--fa:[^}]*}")
NAME = re.compile(r"\bfa-[\w-]+")


def trim(app: Sphinx, exception: Exception | None) -> None:
    """Keep the rules of icons that a page or the theme's scripts name."""
    style = Path(app.outdir, "_static/styles/pydata-sphinx-theme.css")
    if exception or not style.exists():
        return
    Path(app.outdir, "_static/scripts/fontawesome.js").unlink(missing_ok=True)
    files = [*Path(app.outdir).rglob("*.html"), *style.parents[1].rglob("*.js")]
    used = {name for file in files for name in NAME.findall(file.read_text())}

    def kept(rule: re.Match[str]) -> str:
        return rule[0] if used & set(NAME.findall(rule[1])) else ""

    style.write_text(RULE.sub(kept, style.read_text()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Trim when everything is written."""
    app.connect("build-finished", trim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
