"""Sphinx's settings.  ``python -m _config.build`` gives it the book."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parent
TEMPLATES = f"{ROOT}/_config/site/theme/templates"
sys.path.insert(0, str(ROOT))  # for _config

project = "Ground Up"
language = "en"

extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "notfound.extension",
    "sphinxext.rediraffe",
    "_config.site.icons",
    "_config.site.katex",
    "_config.site.sphinx_ext",
]

# The public address, if there is one.
html_baseurl = os.environ.get("SITE_URL", "")
notfound_urls_prefix = urlsplit(html_baseurl).path or "/"
notfound_context = {
    "title": "Page not found",
    "body": "<h1>Page not found</h1><p>There is no page at this address. "
    f'Try the search, or <a href="{notfound_urls_prefix}index.html">start '
    "from the contents</a>.</p>",
}
rediraffe_redirects = "redirects.txt"
rediraffe_template = f"{TEMPLATES}/moved.html"
if html_baseurl:
    extensions += ["sphinx_sitemap", "sphinxext.opengraph"]
sitemap_url_scheme = "{link}"
ogp_social_cards = {"enable": False}

# Chapters: _config.site.sphinx_ext hands MyST-NB notebooks with outputs.
nb_custom_formats = {".py": ["nbformat.reads", {"as_version": 4}]}
nb_execution_mode = "off"
nb_output_stderr = "remove"  # the executor reports it
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_code_prompt_show = "Show {type}"
nb_ipywidgets_js = {}

myst_enable_extensions = [
    "amsmath",
    "attrs_block",
    "attrs_inline",
    "colon_fence",
    "dollarmath",
]
myst_heading_anchors = 3
bibtex_bibfiles = ["book/references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"
add_module_names = False
toc_object_entries_show_parents = "hide"
math_number_all = False
math_eqref_format = "({number})"

copybutton_selector = (
    "div[class*=highlight-]:not(.output, .highlight-diff) > div.highlight > pre"
)
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "sphinx_book_theme"
html_title = "Ground Up"
html_theme_options = {
    "navbar_persistent": [],  # one search field
    "footer_content_items": [],
    "show_navbar_depth": 2,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "back_to_top_button": False,
    "pygments_light_style": "github-light-high-contrast",
    "pygments_dark_style": "github-dark-high-contrast",
}
html_copy_source = True
html_show_sphinx = False
html_last_updated_fmt = None
templates_path = [TEMPLATES]
html_static_path = ["_config/site/theme/static"]
html_css_files = ["groundup.css"]
html_context = {"default_mode": "light"}  # with JavaScript off
