"""Documents that hold figures of a run between marks, ``<!-- speed -->`` and ``<!-- /speed -->``."""

import re
from collections.abc import Mapping


def updated(text: str, parts: Mapping[str, str]) -> str:
    r"""Return a document with what stands between its marks replaced.

    Parameters
    ----------
    text
        The document.
    parts
        What is to stand between the marks of each name.

    Raises
    ------
    ValueError
        If it has none of the marks.

    Examples
    --------
    >>> print(updated("a\n<!-- speed -->\nold\n<!-- /speed -->\nb", {"speed": "new"}))
    a
    <!-- speed -->
    new
    <!-- /speed -->
    b
    """
    found = [name for name in parts if _between(name).search(text)]
    if not found:
        marks = " or ".join(f"<!-- {name} --> ... <!-- /{name} -->" for name in parts)
        msg = f"nothing to update: there are no marks {marks} in it; add them where the figures belong"
        raise ValueError(msg)
    for name in found:
        part = parts[name].strip()
        text = _between(name).sub(lambda match, part=part: f"{match[1]}\n{part}\n{match[2]}", text)  # type: ignore[misc]
    return text


def _between(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name} -->)\n.*?(<!-- /{name} -->)", re.DOTALL)
