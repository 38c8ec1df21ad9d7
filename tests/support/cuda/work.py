"""Work on a device, for tests: the same steps as on NumPy, their arrays uploaded."""

from chainrule.program.cuda.engine import GraphEngine
from chainrule.program.engine import Work
from support.steps import epochs, made_work, plain, ran


def uploaded(device, record):
    """Return a record of arrays with each of them on the device."""
    if record is None:
        return None
    if isinstance(record, tuple):
        parts = [uploaded(device, part) for part in record]
        return type(record)(*parts) if hasattr(record, "_fields") else tuple(parts)
    return device.constant(record)


def on_device(device, work):
    """Return the same work with its arrays on the device."""
    return Work(
        work.step,
        uploaded(device, work.progress),
        uploaded(device, work.data),
        work.bounds,
        drops=work.drops,
        steps=work.steps,
    )


def trained(device, case, rows=11, batch_size=None, dtype="float64", count=3):
    """Return the losses and what changed, on the device and by the plain step."""
    work = made_work(case, rows, dtype, batch_size)
    plans = epochs(work, count)
    wanted = ran(plain(work), plans)
    engine = GraphEngine(on_device(device, made_work(case, rows, dtype, batch_size)), device)
    return ran(engine, plans), wanted
