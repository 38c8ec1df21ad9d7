"""How the documentation site is built: `nox -s docs`, into build/site."""

import os
import sys
from pathlib import Path

from chainrule import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

project = "chainrule"
author = "the chainrule authors"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",  # pages in Markdown, and the notebook, which is run
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "colab",
    "drawings",
    "fields",
    "mathml",
]
exclude_patterns = ["extensions"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
colab_repository = os.environ.get("GITHUB_REPOSITORY", "")  # OWNER/NAME, where it is known
nb_execution_mode = "force"  # a cache would not see that the library has changed
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
suppress_warnings = [
    "myst.header"
]  # tables that the benchmark writes begin at the third level, wherever they stand

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the shapes and dtypes of the text say more
autodoc_default_options = {"members": True}
viewcode_follow_imported_members = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False  # types are words, not links
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# No page asks another machine for anything: mathematics is MathML, and nothing links out at build time.
html_math_renderer = "mathml"
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
html_theme = "furo"
html_title = f"chainrule {version}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8f", "color-brand-content": "#0b5c8f"},
    "dark_css_variables": {"color-brand-primary": "#8cc8f0", "color-brand-content": "#8cc8f0"},
}

# Names of other libraries are no links, because looking them up would ask their sites. Nor is "array", which may be of
# any library.
nitpick_ignore_regex = [
    ("py:class", "array"),
    ("py:.*", r"(collections|concurrent|contextlib|typing|numpy|np|types|pathlib|os|sklearn)\..*"),
]
