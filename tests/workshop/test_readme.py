"""The README's example does what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

from _config.chapters.files import ROOT


def test_the_example_trains_a_network(tmp_path: Path):
    text = (ROOT / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    ran = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stderr
    names, *_, last = map(str.split, ran.stdout.splitlines())
    assert float(last[names.index("accuracy")]) > 0.93, ran.stdout
