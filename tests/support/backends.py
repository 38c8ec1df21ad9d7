"""The backends to run tests on, each marked with the library that it needs, and the fixture over them."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import array_api_compat.numpy
import pytest

from chainrule import backends
from support.needs import absent
from support.readonly import ReadOnlyBackend


@dataclass(frozen=True)
class Kind:
    """A backend to test on: its name, the library that it needs, and the function that creates it."""

    name: str
    library: str
    make: Callable[[ExitStack], backends.Backend]

    @property
    def marks(self) -> list[Any]:
        """The marks of its tests: the library is needed, and for CuPy a device."""
        needs = pytest.mark.needs(self.library)
        return [needs, pytest.mark.gpu] if self.library == "cupy" else [needs]


def _strict(stack: ExitStack) -> backends.Backend:
    """Create a backend with only the standard, on a device whose arrays NumPy cannot read."""
    import array_api_strict as xp

    flags = {"boolean_indexing": False, "data_dependent_shapes": False, "enabled_extensions": ()}
    stack.enter_context(xp.ArrayAPIStrictFlags(**flags))
    return backends.of(xp.ones(1, device=xp.Device("device1")))


def _readonly(_: ExitStack) -> backends.Backend:
    return ReadOnlyBackend("numpy", array_api_compat.numpy)


KINDS = (
    Kind("numpy", "numpy", lambda _: backends.named("numpy")),
    Kind("numpy-readonly", "numpy", _readonly),
    Kind("strict", "array_api_strict", _strict),
    Kind("torch", "torch", lambda _: backends.named("torch:cpu")),
    Kind("jax", "jax", lambda _: backends.named("jax:cpu")),
    Kind("cupy", "cupy", lambda _: backends.named("cupy")),
)


def opened(kind: Kind, stack: ExitStack) -> backends.Backend:
    """Return the backend of this kind; its changes are undone when ``stack`` closes."""
    try:
        return kind.make(stack)
    except backends.BackendUnavailableError as error:
        return absent(kind.library, str(error))


def params(*left_out: str) -> list[Any]:
    """Return all kinds except some, as parameters of a test or a fixture."""
    return [pytest.param(k, id=k.name, marks=k.marks) for k in KINDS if k.name not in left_out]


@pytest.fixture(params=params())
def backend(request):
    """Every backend in turn."""
    with ExitStack() as stack:
        yield opened(request.param, stack)


@pytest.fixture
def reference():
    """NumPy, to compare the others with."""
    return backends.named("numpy")
