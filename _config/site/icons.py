"""The theme's icons, minus those no page shows: 20 kB less on a first view.

pydata-sphinx-theme sends a rule for each of Font Awesome's 2,000 icons, and
copies a script of 1.5 MB that no page of ours loads.  The fonts that the site
sends hold a few (theme/vendor.sh lists them): those keep their rules.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

RULE = re.compile(r'(?<=})\.fa-[^{}]+{--fa:"\\?([^"]*?) ?"}')
LIST = Path(__file__).parent / "theme/vendor.sh"


def trim(app: Sphinx, exception: Exception | None) -> None:
    """Keep the rules of the icons that the fonts hold."""
    style = Path(app.outdir, "_static/styles/pydata-sphinx-theme.css")
    if exception or not style.exists():
        return
    Path(app.outdir, "_static/scripts/fontawesome.js").unlink(missing_ok=True)
    sent = {code.lower() for code in re.findall(r"U\+(F\w+)", LIST.read_text())}

    def kept(rule: re.Match[str]) -> str:
        return rule[0] if rule[1].lower() in sent else ""

    style.write_text(RULE.sub(kept, style.read_text()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Trim when everything is written."""
    app.connect("build-finished", trim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
