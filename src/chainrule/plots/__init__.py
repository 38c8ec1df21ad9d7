"""Pictures of networks and of their training, drawn with matplotlib (extra ``plots``).

Every function takes ``ax=``: given an ``Axes`` it draws there and returns it, else it makes a picture of
its own and returns that. A picture is a matplotlib ``Figure`` that no pyplot knows of: nothing is left
behind, no display is needed, and at the end of a notebook's cell it shows itself. :func:`save` writes it
as PNG, SVG or PDF.

Where a network is asked for, anything does that has ``architecture`` and ``layers``.
"""

from chainrule._version import how_to_install

try:
    import matplotlib  # noqa: F401  asked for first, to say in one line what is missing
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
