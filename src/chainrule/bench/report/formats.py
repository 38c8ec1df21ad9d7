"""Numbers as text: three significant digits, with a prefix where the unit is free, and shares."""

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
NONE = "-"


def number(value: float | None) -> str:
    """Return three significant digits of a number, or a dash for ``None``.

    Examples
    --------
    >>> number(31114.0), number(0.9876), number(2.0), number(0.0), number(None)
    ('31100', '0.988', '2.00', '0', '-')
    """
    if value is None:
        return NONE
    if value == 0:
        return "0"
    if abs(value) >= 999.5:
        return f"{float(f'{value:.3g}'):.0f}"
    return f"{value:#.3g}".rstrip(".")


def scaled(value: float | None, unit: str = "") -> str:
    """Return a number with the prefix of its size, for text: a column of a table keeps one unit.

    Examples
    --------
    >>> scaled(0.00023149, "s"), scaled(43.2e9, "FLOP/s"), scaled(512), scaled(999.6e-6, "s")
    ('231 µs', '43.2 GFLOP/s', '512', '1.00 ms')
    >>> scaled(0.0, "s"), scaled(None)
    ('0 s', '-')
    """
    if not value:
        return NONE if value is None else f"0 {unit}".strip()
    size, prefix = next((p for p in PREFIXES if abs(value) >= 0.9995 * p[0]), (1e-9, "n"))
    return f"{number(value / size)} {prefix}{unit}".strip()


def percent(share: float | None) -> str:
    """Return a share as whole per cent.

    Examples
    --------
    >>> percent(0.886), percent(0.002), percent(None)
    ('89 %', '0.2 %', '-')
    """
    if share is None:
        return NONE
    return f"{100 * share:.{1 if 0 < share < 0.00995 else 0}f} %"
