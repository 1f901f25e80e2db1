"""Settings of the kernels that execute chapters (IPython runs this file)."""

import logging
import runpy
from pathlib import Path

limits = runpy.run_path(str(Path(__file__).with_name("limits.py")))

c = get_config()  # noqa: F821

c.HistoryManager.enabled = False
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {
    "bbox_inches": "tight",
    "metadata": {"Date": None},
}

# The first plot on a machine builds a font cache and says so.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
