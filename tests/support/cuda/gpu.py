"""A GPU, by CuPy. Where there is none the test is skipped; where ``REQUIRE_BACKEND=cupy`` is set it fails."""

import os

import pytest

from chainrule import backends
from support.needs import absent, need


def cupy_backend():
    """Return the backend of CuPy's current device."""
    need("cupy")
    try:
        return backends.named("cupy")
    except backends.BackendUnavailableError as error:
        return absent("cupy", str(error))


@pytest.fixture
def gpu():
    """The device as ``program/cuda`` uses it."""
    backend = cupy_backend()
    import cupy

    from chainrule.backends.cupy_device import CupyDevice

    if os.environ.get("NO_POOL"):  # each array an allocation of its own: then what is beyond it is seen
        cupy.cuda.set_allocator(None)

    return CupyDevice(backend.device)
