"""The version, and how an extra is installed, each in one place."""

__version__ = "0.1.0"

_INSTALL = "pip install '.[{}]' in a clone of chainrule"  # it is on no package index yet


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra.

    Parameters
    ----------
    extra : str
        The name of the extra, such as "torch".

    Returns
    -------
    str
        The command, for a shell.

    Examples
    --------
    >>> how_to_install("torch")
    "pip install '.[torch]' in a clone of chainrule"
    """
    return _INSTALL.format(extra)
