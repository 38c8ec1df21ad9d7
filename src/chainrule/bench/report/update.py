"""Documents that hold parts of a report between marks, ``<!-- speed -->`` and ``<!-- /speed -->``."""

import re
from collections.abc import Mapping


def updated(text: str, parts: Mapping[str, str]) -> str:
    r"""Return a document with the text between its marks replaced.

    Parameters
    ----------
    text
        The document.
    parts
        The new text between the marks of each name.

    Raises
    ------
    ValueError
        If the document has none of the marks.

    Examples
    --------
    >>> print(updated("a\n<!-- speed -->\nold\n<!-- /speed -->\nb", {"speed": "new"}))
    a
    <!-- speed -->
    new
    <!-- /speed -->
    b
    """
    patterns = {
        name: re.compile(rf"(<!-- {name} -->)\n.*?(<!-- /{name} -->)", re.DOTALL) for name in parts
    }
    present = [name for name, pattern in patterns.items() if pattern.search(text)]
    if not present:
        marks = " or ".join(f"<!-- {name} --> ... <!-- /{name} -->" for name in parts)
        msg = (
            f"nothing to update: the document has no marks {marks}; add them around the part to replace"
        )
        raise ValueError(msg)
    for name in present:
        new = parts[name].strip()
        text = patterns[name].sub(lambda match, new=new: f"{match[1]}\n{new}\n{match[2]}", text)  # type: ignore[misc]
    return text
