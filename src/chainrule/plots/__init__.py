"""Pictures of networks and of their training, drawn with matplotlib (extra ``plots``).

Every function takes ``ax=``. With an ``Axes`` it draws there and returns it; otherwise it returns a new picture. A
picture is a matplotlib ``Figure`` outside pyplot: nothing needs to be closed, no display is needed, and a notebook
shows it at the end of a cell. :func:`save` writes it as PNG, SVG or PDF.

A network may be any object that has ``architecture`` and ``layers``.
"""

from chainrule._version import how_to_install

try:
    import matplotlib  # noqa: F401  imported first, for an error of one line
except ImportError:
    _MISSING = f"pictures need matplotlib; {how_to_install('plots')}"
    raise ImportError(_MISSING) from None

from chainrule.plots.boundary import plot_decision_boundary
from chainrule.plots.canvas import save
from chainrule.plots.confusion import plot_confusion, plot_predictions
from chainrule.plots.curves import plot_history
from chainrule.plots.diagram import plot_network
from chainrule.plots.flow import plot_gradient_flow
from chainrule.plots.surface import plot_loss_surface

__all__ = [
    "plot_confusion",
    "plot_decision_boundary",
    "plot_gradient_flow",
    "plot_history",
    "plot_loss_surface",
    "plot_network",
    "plot_predictions",
    "save",
]
