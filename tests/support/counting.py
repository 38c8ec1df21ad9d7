"""Count the matrix products of a computation in the library that computes them."""

from contextlib import contextmanager

import array_api_strict as xp


@contextmanager
def products_counted(monkeypatch):
    """Yield a list that gets the shapes ``(rows, inner, columns)`` of every matrix product."""
    seen = []

    def counted(multiply):
        def product(A, B, /):
            seen.append((*A.shape[-2:], B.shape[-1]))
            return multiply(A, B)

        return product

    with monkeypatch.context() as patch:
        patch.setattr(xp, "matmul", counted(xp.matmul))
        patch.setattr(type(xp.ones(1)), "__matmul__", counted(type(xp.ones(1)).__matmul__))
        for other in ("tensordot", "vecdot"):
            patch.setattr(xp, other, _refused(other))
        yield seen


def _refused(name):
    def refuse(*_args, **_kwargs):
        msg = f"{name} is a product that the count does not see"
        raise AssertionError(msg)

    return refuse
