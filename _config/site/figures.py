"""Figures: matplotlib's SVG, inlined so that it follows the page's theme.

The kernels' ``matplotlibrc`` has the one list of colours; here each becomes the
CSS variable that the theme sets for it, light and dark.
"""

import re
from html import escape

from _config.runs.store import KERNEL

STYLE = (KERNEL / "matplotlibrc").read_text()
INK = re.search(r"^text.color: *(\w{6})$", STYLE, re.MULTILINE)[1]
CYCLE = [f"#{colour}" for colour in re.findall(r"'(\w{6})'", STYLE)]
VARIABLES = {colour: f"--gu-{i}" for i, colour in enumerate(CYCLE)} | {
    f"#{INK}": "--gu-ink",
    # what "k", "0.5" and "w" draw
    "#000000": "--gu-ink",
    "#808080": "--gu-ink-faint",
    "#ffffff": "--gu-paper",
}
PROLOGUE = re.compile(
    r"\A.*?(?=<svg)|<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL
)
EMPTY = (
    re.compile(  # also paths that show nothing, transforms that turn nothing
        r'\s*<g/>|(?<=\n) +(?=<)|<path d="[^"]*" style="fill: none"/>\s*|'
        r' transform="rotate\(-0 [^"]*"'
    )
)
NUMBER = re.compile(r'transform="[^"]*"|>[^<]*|\d+\.\d{3,}')
FONT = re.compile(r"font: (?P<size>[\d.]+px) [^;\"]+| font-family: [^;\"]+;?")
# An image that says nothing to those who cannot see it.
SILENT = re.compile(r"<img\b(?![^>]*\salt=[\"']?[^\"'\s>])(\s+alt=(\"\"|''))?")


def figure(image: str, caption: str) -> str:
    """An image, ``<svg>`` or ``<img>``, as a figure with its caption."""
    caption = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="gu-figure">{image}{caption}</figure>'


def image(data: dict, alt: str, prefix: str) -> str:
    """What an output draws, as an element of the page; empty if nothing."""
    for kind in sorted(data, reverse=True):  # SVG first
        if kind == "image/svg+xml":
            return svg(data[kind], alt, prefix)
        if kind.startswith("image/"):
            source = f"data:{kind};base64,{''.join(data[kind].split())}"
            return f'<img src="{source}" alt="{escape(alt)}">'
    return ""


def described(html: str, alt: str) -> str:
    """HTML whose images say what they show."""
    return SILENT.sub(lambda _: f'<img alt="{escape(alt)}"', html)


def svg(text: str, alt: str, prefix: str) -> str:
    """An SVG file as an element of the page; its ids start with ``prefix``."""
    text = EMPTY.sub("", PROLOGUE.sub("", text)).strip()
    text = NUMBER.sub(rounded, text)
    text = FONT.sub(sized, text)
    text = re.sub("#[0-9a-f]{6}", lambda match: themed(match[0]), text)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(
        r' id="([^"]+)"',
        lambda match: f' id="{prefix}-{match[1]}"' if match[1] in used else "",
        text,
    )
    text = re.sub(r'(url\(#|href="#)', rf"\1{prefix}-", text)
    return text.replace(
        "<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1
    )


def themed(colour: str) -> str:
    name = VARIABLES.get(colour)
    return f"var({name})" if name else colour


def sized(match: re.Match[str]) -> str:
    """A font's size; its family is the theme's."""
    return f"font-size: {match['size']}" if match["size"] else ""


def rounded(match: re.Match[str]) -> str:
    """A length to a hundredth of a point; scales and text stay as they are."""
    if match[0].startswith(("transform", ">")):
        return match[0]
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
