"""The report of a run as text, tables, figures, a page and JSON; nothing is measured here.

Every form reads the same :class:`~chainrule.bench.judge.results.Results`.
"""

from chainrule.bench.report.forms import derived, figures, html, markdown, terminal

__all__ = ["derived", "figures", "html", "markdown", "terminal"]
