"""A badge that opens each notebook in Colab, if the public address of the repository is known.

The address is ``OWNER/NAME`` on GitHub. Its runners say it in ``GITHUB_REPOSITORY``; elsewhere, without
that variable, there is no badge, since there is nothing for it to open.
"""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx

PATTERN = "https://colab.research.google.com/github/{repository}/blob/{branch}/docs/{name}.ipynb"


def badge(repository: str, branch: str, name: str) -> str:
    """Return the badge, as HTML.

    Examples
    --------
    >>> badge("someone/chainrule", "main", "backpropagation")
    '<p><a class="badge" href="https://colab.research.google.com/github/someone/chainrule/blob/main/docs/backpropagation.ipynb">Open in Colab</a></p>'
    """
    address = PATTERN.format(repository=repository, branch=branch, name=name)
    return f'<p><a class="badge" href="{escape(address)}">Open in Colab</a></p>'


def insert(app: Sphinx, document: nodes.document) -> None:
    """Put the badge under the title of a notebook."""
    name = app.env.docname
    notebook = str(app.env.doc2path(name)).endswith(".ipynb")
    title = next(document.findall(nodes.title), None)
    if not app.config.colab_repository or not notebook or title is None:
        return
    shown = badge(app.config.colab_repository, app.config.colab_branch, name)
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", shown, format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("colab_repository", "", "env", str)
    app.add_config_value("colab_branch", "main", "env", str)
    app.connect("doctree-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
