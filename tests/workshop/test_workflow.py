"""The hosted workflow: what it runs is pinned, and it ends."""

import re

import yaml

from _config.chapters.files import ROOT

WORKFLOW = yaml.safe_load(
    (ROOT / ".github/workflows/book.yml").read_text("utf-8")
)


def test_every_action_is_pinned_to_a_commit():
    steps = [s for job in WORKFLOW["jobs"].values() for s in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [
        u for u in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", u)
    ] == []


def test_every_job_has_an_end_and_only_the_newest_run_goes_on():
    assert all(
        job["timeout-minutes"] <= 90 for job in WORKFLOW["jobs"].values()
    )
    assert WORKFLOW["concurrency"]["group"]


def test_what_is_released_has_passed_and_carries_its_tags_version():
    release = WORKFLOW["jobs"]["release"]
    assert release["needs"] == "book"
    assert any("hatch version" in str(step) for step in release["steps"])
