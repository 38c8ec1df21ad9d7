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

    It is NumPy if nothing is stored, if the map is of other versions or has no neighbours of the workload, if it
    is undecided between NumPy and another, and for a step that cannot be recorded. Backends that cannot be used
    here, or that do not use the dtype by default, are left out.

    Parameters
    ----------
    net, optimizer
        The workload to train.
    batch
        Rows of a batch.
    dtype
        The dtype that the user asked for; ``None`` is float64.

    Returns
    -------
    Backend
        The one to train on.
    """
    work = workload_of(net, optimizer, batch, dtype or "float64")
    refused: set[str] = set()
    try:
        # A step that cannot be recorded may call NumPy itself.
        step_plan(net, optimizer, batch, work.dtype)
        known = read()
        while known.spots:
            choice = choose(known, work, lambda name: name not in refused)
            backend = _usable(choice.backend, work.dtype, is_asked=dtype is not None)
            if backend is not None:
                LOG.info("backend auto: %s; %s", choice.backend, choice.sentence)
                return backend
            refused.add(choice.backend)
        why = f"nothing is measured on this machine yet; measure with: {command(work)}"
    except UnrecordableError as error:
        why = str(error)
    except (StaleMapError, OutsideMapError) as error:
        why = f"{error}; measure with: {command(work)}"
    LOG.info("backend auto: numpy, since %s", why)
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
    """Return a backend if it is available here and supports the dtype; otherwise ``None``."""
    try:
        backend = backends.named(name)
        backend.check_dtype(dtype)
    except (BackendUnavailableError, ValueError):
        return None
    return backend if is_asked or backend.default_dtype == dtype else None
