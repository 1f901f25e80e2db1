#!/bin/sh
# Fetch the site's fonts, icons and KaTeX anew: sh _config/site/theme/vendor.sh
# Needs npm, and in the environment fonttools, brotli and the book's theme.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # NAME@VERSION FOLDER
    tarball=$(npm pack --silent --pack-destination "$work" "$1")
    mkdir -p "$work/$2"
    tar xzf "$work/$tarball" -C "$work/$2" --strip-components=1
}
fetch katex@0.16.47 katex
fetch @fontsource-variable/source-serif-4@5.3.1 source-serif-4
fetch @fontsource-variable/source-sans-3@5.3.0 source-sans-3
fetch @fontsource-variable/jetbrains-mono@5.3.0 jetbrains-mono

# KaTeX: the script runs in the build, the site gets its style and fonts.
mkdir -p katex static/katex/fonts
cp "$work/katex/dist/katex.min.js" "$work/katex/LICENSE" katex/
cp "$work"/katex/dist/fonts/*.woff2 "$work/katex/LICENSE" static/katex/fonts/
sed 's/,url([^)]*\.\(woff\|ttf\)) format("[a-z]*")//g' \
    "$work/katex/dist/katex.min.css" > static/katex/katex.min.css

# Text: Latin with the punctuation of prose, weights 400 to 700, no ligatures.
characters="U+20-7E,U+A0-FF,U+131,U+152,U+153,U+2BC,U+2C6,U+2DC,U+300-304,\
U+308,U+2010-2015,U+2018-201E,U+2020-2022,U+2026,U+2032,U+2033,U+20AC,U+2191,\
U+2193,U+2212"
mkdir -p static/fonts
for font in source-serif-4/wght-normal source-serif-4/wght-italic \
    source-sans-3/wght-normal jetbrains-mono/wght-normal; do
    family=${font%/*}
    fonttools varLib.instancer -q "$work/$family/files/$family-latin-${font#*/}.woff2" \
        wght=400:700 -o "$work/font.ttf"
    pyftsubset "$work/font.ttf" --unicodes="$characters" --no-hinting --flavor=woff2 \
        --layout-features=kern,mark,mkmk,ccmp,locl --output-file="static/fonts/$family-${font##*-}.woff2"
    cp "$work/$family/LICENSE" "static/fonts/$family-LICENSE.txt"
done

# Icons: those of Font Awesome that the theme draws, under the theme's own path.
icons=$(python -c 'import pydata_sphinx_theme as theme; print(theme.__path__[0])')
icons=$icons/theme/pydata_sphinx_theme/static/vendor/fontawesome/webfonts
mkdir -p static/vendor/fontawesome/webfonts
pyftsubset "$icons/fa-solid-900.woff2" --flavor=woff2 \
    --output-file=static/vendor/fontawesome/webfonts/fa-solid-900.woff2 \
    --unicodes="$(paste -sd, - <<LIST
U+F002,U+F00D,U+F010,U+F019,U+F03A,U+F03B,U+F042,U+F054,U+F057,U+F058,U+F05A
U+F062,U+F06A,U+F071,U+F078,U+F08E,U+F0C9,U+F0EB,U+F0F3,U+F104,U+F105,U+F121
U+F15B,U+F185,U+F186,U+F1C1,U+F1C9,U+F303
LIST
)"
pyftsubset "$icons/fa-brands-400.woff2" --flavor=woff2 --unicodes=U+F09B \
    --output-file=static/vendor/fontawesome/webfonts/fa-brands-400.woff2
