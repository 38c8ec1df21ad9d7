"""Names: objects looked up by name, and the errors for unknown names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

Thing = TypeVar("Thing")

# The names of these things in other libraries.
ELSEWHERE = {
    "mse": "mean_squared_error",
    "bce": "binary_cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "logistic": "sigmoid",
    "xavier": "glorot_uniform",
    "kaiming": "he_normal",
    "rmsprop": "adam",
    "cuda": "cupy",
    "gpu": "cupy",
}


def nearest(name: str, known: Sequence[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or an empty string.

    Examples
    --------
    >>> nearest("adm", ["sgd", "adam"]), nearest("rmsprop", ["sgd", "adam"])
    ("; did you mean 'adam'?", "; did you mean 'adam'?")
    """
    from difflib import get_close_matches

    if name == "softmax":
        return "; it is part of loss='cross_entropy', whose outputs are logits"
    theirs = ELSEWHERE.get(name.lower())
    close = [theirs] if theirs in known else get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def quoted(value: object, most: int = 60) -> str:
    r"""Return ``repr(value)``, cut to ``most`` characters, for error messages.

    Examples
    --------
    >>> quoted("a\x1b[31m"), quoted("x" * 100, 9)
    ("'a\\x1b[31m'", "'xxxxxxxx…")
    """
    text = repr(value).replace("\n", " ")  # an array's has several lines
    return text if len(text) <= most else f"{text[:most]}…"


def require(holds: object, problem: str, error: Callable[[str], Exception] = ValueError) -> None:
    """Raise an error, by default a ``ValueError``, unless the condition holds."""
    if not holds:
        raise error(problem)


@contextmanager
def refusing(
    kinds: type[Exception] | tuple[type[Exception], ...],
    problem: str,
    error: Callable[[str], Exception] = ValueError,
) -> Iterator[None]:
    """Replace an exception of these kinds by an error with this problem; ``{}`` in it stands for the reason.

    Examples
    --------
    >>> with refusing(KeyError, "no such column ({}); give another"):
    ...     {}["width"]
    Traceback (most recent call last):
    ...
    ValueError: no such column ('width'); give another
    """
    try:
        yield
    except kinds as why:
        raise error(problem.replace("{}", one_line(why, 1000))) from why


def one_line(error: BaseException, most: int = 200) -> str:
    """Return the first line of another library's error, cut to ``most`` characters."""
    return str(error).strip().partition("\n")[0][:most] or type(error).__name__


def check_known(kind: str, name: str, known: Sequence[str]) -> None:
    """Raise unless a name is known.

    Raises
    ------
    ValueError
        If it is not; the message suggests the nearest known name, and lists them all.

    Examples
    --------
    >>> check_known("task", "regresion", ["classification", "regression"])
    Traceback (most recent call last):
    ...
    ValueError: unknown task 'regresion'; did you mean 'regression'? (known: classification, regression)
    """
    if name not in known:
        msg = f"unknown {kind} {quoted(name)}{nearest(name, known)} (known: {', '.join(known)})"
        raise ValueError(msg)


def lookup(kind: str, given: object, wanted: type[Thing], known: Mapping[str, Thing]) -> Thing:
    """Return ``given`` if it is a ``wanted``, or the object with that name in ``known``.

    Raises
    ------
    ValueError
        If the name is not known; the message suggests the nearest one and lists them all.
    TypeError
        If ``given`` is neither a name nor a ``wanted``.
    """
    if isinstance(given, wanted):
        return given
    if not isinstance(given, str):
        msg = f"{kind} must be a name or {wanted.__name__}, got {type(given).__name__}"
        if (name := getattr(given, "__name__", None)) in known:  # the function instead of its result
            msg += f"; give {name!r}"
        raise TypeError(msg)
    check_known(kind, given, sorted(known))
    return known[given]
