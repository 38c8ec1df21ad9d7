"""Work on a device, for tests: the same steps as on NumPy, their arrays uploaded."""

from chainrule.program.engine import Work


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
