"""Display in a notebook, where there is one."""

import sys

__all__ = ["show_html"]


def show_html(html: str) -> bool:
    """Display HTML below the cell that runs; False, and nothing displayed, outside of IPython's notebooks.

    IPython is not a dependency: a notebook has imported it before any cell runs.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return False
    ipython.display.display(ipython.display.HTML(html))
    return True
