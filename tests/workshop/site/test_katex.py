import re
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx

from _config.chapters.files import ROOT
from _config.site.katex import render
from tests.workshop.site.small_book import fork

SETTINGS = {
    "extensions": ["myst_parser", "_config.site.katex"],
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "html_theme": "basic",
    "math_eqref_format": "({number})",
}


def build(folder: Path, page: str) -> str:
    """Build the page into folder/html; the warnings."""
    (folder / "index.md").write_text(page)
    return fork(folder, build_here, folder).stderr


def build_here(folder: Path) -> None:
    out = folder / "html"
    settings = {"confoverrides": SETTINGS, "status": None}
    settings["warning"] = sys.stderr
    Sphinx(folder, None, out, out / ".doctrees", "html", **settings).build()


def test_a_formula_becomes_html_for_eyes_and_mathml_for_speech():
    html = render(r"\frac{a}{b}", display=False)

    assert "mfrac" in html.split('class="katex-html"')[0]
    assert '<span class="katex-html" aria-hidden="true">' in html


@pytest.mark.parametrize(
    "latex, message",
    [
        (r"\frac{a}{", "Unexpected end of input"),
        (r"\nosuchcommand", "Undefined control sequence: \\nosuchcommand"),
        ("ж + 1", "Unicode text character"),
    ],
)
def test_what_katex_refuses_says_why_in_one_line(latex: str, message: str):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        render(latex, display=True)

    assert "\n" not in str(error.value)


def test_a_displayed_formula_breaks_its_line_where_it_says():
    assert "newline" in render(r"a \\ b", display=True)


def test_a_page_has_rendered_formulas_and_no_script_for_them(tmp_path: Path):
    warnings = build(
        tmp_path,
        "# Title\n\nWith $x^2$, and\n\n$$y = x$$ (line)\n\nby {eq}`line`.\n",
    )
    html = (tmp_path / "html/index.html").read_text()

    assert warnings == ""
    assert html.count('class="katex"') == 2
    assert "mathjax.js" not in html.lower() and "tex-mml" not in html
    assert "katex.min.css" in html
    assert html.index("gu-formula") < html.index('class="eqno"')
    assert re.search(r'href="#equation-line">\(1\)</a>', html)


def test_an_equation_is_numbered_once(tmp_path: Path):
    build(
        tmp_path,
        "# Title\n\n\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}\n",
    )
    html = (tmp_path / "html/index.html").read_text()

    assert html.count('class="eqno"') == 1
    assert "eqn-num" not in html


def test_a_wrong_formula_is_a_warning_with_its_line(tmp_path: Path):
    warnings = build(
        tmp_path, "# Title\n\nFine.\n\n$$\\frac{a$$\n\nAnd <b> $x < \\y$.\n"
    )

    assert re.search(r"index\.md:5: WARNING: KaTeX parse error", warnings)
    assert re.search(
        r"index\.md:7: WARNING: .*Undefined control sequence: \\y", warnings
    )
    assert (
        "<code>x &lt; \\y</code>" in (tmp_path / "html/index.html").read_text()
    )


def test_pages_render_in_parallel(tmp_path: Path):
    pages = {f"page{i}": f"# Page {i}\n\n$x_{i}$\n" for i in range(8)}
    contents = "# Title\n\n```{toctree}\n" + "\n".join(pages) + "\n```\n"
    for name, text in {"index": contents, **pages}.items():
        (tmp_path / f"{name}.md").write_text(text)
    settings = "".join(
        f"{name} = {value!r}\n" for name, value in SETTINGS.items()
    )
    (tmp_path / "conf.py").write_text(settings)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "-j",
        "2",
        tmp_path,
        tmp_path / "html",
    ]

    subprocess.run(command, check=True, timeout=100, cwd=ROOT)

    for name in pages:
        assert 'class="katex"' in (tmp_path / f"html/{name}.html").read_text()
