"""The report of a run as text, tables, figures, a page and JSON; nothing is measured here.

Every form reads the same :class:`~chainrule.bench.judge.results.Results`.
"""

from chainrule.bench.report.as_json import derived
from chainrule.bench.report.as_markdown import markdown, readme, update
from chainrule.bench.report.as_terminal import terminal
from chainrule.bench.report.charts import figures
from chainrule.bench.report.page import html

__all__ = ["derived", "figures", "html", "markdown", "readme", "terminal", "update"]
