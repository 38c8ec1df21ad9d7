"""``backend="auto"``: the backend that the stored map favours, and a line in the log."""

import logging

from chainrule import backends
from chainrule.backends import Backend, BackendUnavailableError
from chainrule.backends.plans import step_plan
from chainrule.backends.speed_map.choice import OutsideMapError, choose
from chainrule.backends.speed_map.spots import Workload, workload_of
from chainrule.backends.speed_map.stored import StaleMapError, read
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.optimizers import Optimizer
from chainrule.program.unrecordable import UnrecordableError

LOG = logging.getLogger("chainrule")


def pick(net: Architecture, optimizer: Optimizer, batch: int, dtype: str | None) -> Backend:
    """Return the backend that the stored map favours, and log the choice at the level INFO.

    NumPy where nothing is stored, where the stored map is of other versions or has nothing near, where it is
    undecided between NumPy and another, and for a step that cannot be recorded. Backends that cannot be used
    here, or that do not compute in the dtype by default, are left out.
    """
    work = workload_of(net, optimizer, batch, dtype or "float64")
    try:
        step_plan(net, optimizer, batch, work.dtype)
    except UnrecordableError as error:  # it may call NumPy itself, and run nowhere else
        LOG.info("backend auto: numpy, since %s", error)
        return backends.named("numpy")
    refused: set[str] = set()
    try:
        known = read()
        while known.spots:
            choice = choose(known, work, lambda name: name not in refused)
            backend = _usable(choice.backend, work.dtype, is_asked=dtype is not None)
            if backend is not None:
                LOG.info("backend auto: %s; %s", choice.backend, choice.sentence)
                return backend
            refused.add(choice.backend)
        why = "nothing is measured on this machine yet"
    except (StaleMapError, OutsideMapError) as error:
        why = str(error)
    LOG.info("backend auto: numpy, since %s; measure with: %s", why, command(work))
    return backends.named("numpy")


def command(work: Workload) -> str:
    """Return the command that measures a workload.

    Examples
    --------
    >>> command(Workload((64, 16, 10), 32))
    'chainrule bench recommend --layers 64,16,10 --batch 32'
    """
    layers = ",".join(map(str, work.sizes))
    dtype = "" if work.dtype == "float32" else f" --dtype {work.dtype}"
    rule = "" if work.rule == "sgd" else f" --rule {work.rule}"
    return f"chainrule bench recommend --layers {layers} --batch {work.batch}{rule}{dtype}"


def _usable(name: str, dtype: str, *, is_asked: bool) -> Backend | None:
    """Return a backend that is available here and supports the dtype."""
    try:
        backend = backends.named(name)
        backend.check_dtype(dtype)
    except (BackendUnavailableError, ValueError):
        return None
    return backend if is_asked or backend.default_dtype == dtype else None
