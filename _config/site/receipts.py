"""The receipt at a chapter's end: time, versions and commit."""

import subprocess
from functools import cache
from html import escape

from _config.chapters.files import ROOT

FOOTER = '<footer class="gu-receipt"><p>{}</p></footer>'
MISSING = FOOTER.format("A draft: this code has not run yet.")


def receipt(kept: dict) -> str:
    """A footer made of what the store keeps of a run."""
    versions = ", ".join(
        f"{name} {version}" for name, version in kept["versions"].items()
    )
    seconds = kept["seconds"]
    took = "less than a second" if seconds < 1 else f"{seconds:.0f} s"
    built = f" Built from commit <code>{commit()}</code>." if commit() else ""
    code = f"The code of this chapter ran in {took} with {escape(versions)}."
    return FOOTER.format(code + built)


@cache
def commit() -> str:
    """The commit that is built, ``+`` after it if files differ; else empty."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except OSError:  # no git
        return ""
    return run.stdout.strip()
