"""Names: objects looked up by name, and the errors for unknown names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

Thing = TypeVar("Thing")
P = ParamSpec("P")

# Names in other libraries, and the names here.
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
    "lr": "learning_rate",
    "n_epochs": "epochs",
    "max_iter": "epochs",
    "verbose": "progress",
    "random_state": "seed",
    "hidden_layer_sizes": "hidden_size",
}


def nearest(name: str, names: Sequence[str]) -> str:
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
    close = [theirs] if theirs in names else get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def quoted(value: object, most: int = 60) -> str:
    r"""Return ``repr(value)``, cut to ``most`` characters, for error messages.

    Examples
    --------
    >>> quoted("a\x1b[31m"), quoted("x" * 100, 9)
    ("'a\\x1b[31m'", "'xxxxxxxx…")
    """
    text = repr(value).replace("\n", " ")  # the repr of an array may span several lines
    return text if len(text) <= most else f"{text[:most]}…"


def require(holds: object, problem: str, error: Callable[[str], Exception] = ValueError) -> None:
    """Raise an error, by default a ``ValueError``, unless the condition holds."""
    if not holds:
        raise error(problem)


def suggesting(function: Callable[P, Thing]) -> Callable[P, Thing]:
    """Return the function, with an error for an unknown argument that suggests the nearest name.

    Examples
    --------
    >>> @suggesting
    ... def train(*, learning_rate):
    ...     return learning_rate
    >>> train(lr=0.1)
    Traceback (most recent call last):
    ...
    TypeError: train() has no argument 'lr'; did you mean 'learning_rate'?
    """
    names = [name for name in signature(function).parameters if name != "self"]
    called = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Thing:
        for name in kwargs.keys() - set(names):
            advice = nearest(name, names) or f"; its arguments are {', '.join(names)}"
            msg = f"{called}() has no argument {name!r}{advice}"
            raise TypeError(msg)
        return function(*args, **kwargs)

    return call


@contextmanager
def refusing(
    kinds: type[BaseException] | tuple[type[BaseException], ...],
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


def check_known(kind: str, name: str, names: Sequence[str]) -> None:
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
    if name not in names:
        msg = f"unknown {kind} {quoted(name)}{nearest(name, names)} (known: {', '.join(names)})"
        raise ValueError(msg)


def lookup(kind: str, choice: object, cls: type[Thing], table: Mapping[str, Thing]) -> Thing:
    """Return ``choice`` if it is a ``cls``, or the object with that name in ``table``.

    Raises
    ------
    ValueError
        If the name is not known; the message suggests the nearest one and lists them all.
    TypeError
        If ``choice`` is neither a name nor a ``cls``.
    """
    if isinstance(choice, cls):
        return choice
    if not isinstance(choice, str):
        msg = f"{kind} must be a name or {cls.__name__}, got {type(choice).__name__}"
        if (name := getattr(choice, "__name__", None)) in table:  # the function instead of its result
            msg += f"; give {name!r}"
        raise TypeError(msg)
    check_known(kind, choice, sorted(table))
    return table[choice]
