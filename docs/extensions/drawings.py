"""SVG drawings inside the page, so that they use its colours.

They are known by ``currentColor``. In the source they are images like any other, which shows them on a
code host, too.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class Inline(SphinxPostTransform):
    """Replace images of drawings by inline SVG."""

    default_priority = 5  # before images are collected and copied
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Replace every image whose file is one of our drawings."""
        for image in list(self.document.findall(nodes.image)):
            path = Path(self.app.srcdir) / image["uri"]
            drawing = path.read_text(encoding="utf-8") if path.suffix == ".svg" and path.exists() else ""
            if "currentColor" in drawing:
                image.replace_self(nodes.raw("", f'<div class="drawing">{drawing}</div>', format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_post_transform(Inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
