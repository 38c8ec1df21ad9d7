"""Cells: the networks and batch sizes of the table."""

from typing import NamedTuple


class Cell(NamedTuple):
    """A network and a batch size.

    Plain cells are sigmoid-sigmoid with half the sum of squared errors and SGD, and have one hidden
    layer; those with ``adam`` are relu with softmax cross-entropy, of any depth.
    """

    sizes: tuple[int, ...]
    batch: int
    adam: bool = False

    @property
    def name(self) -> str:
        """What the table and the command line call it."""
        sizes = "-".join(map(str, self.sizes))
        return f"{sizes},{self.batch}" + (",adam" if self.adam else "")

    @property
    def hidden(self) -> int:
        """The widest hidden layer."""
        return max(self.sizes[1:-1])


def parse(text: str) -> Cell:
    """Return the cell of this name.

    Examples
    --------
    >>> parse("64-16-10,32")
    Cell(sizes=(64, 16, 10), batch=32, adam=False)
    >>> parse("784-512-256-10,512,adam").name
    '784-512-256-10,512,adam'
    """
    sizes, _, rest = text.partition(",")
    batch, _, kind = rest.partition(",")
    try:
        cell = Cell(tuple(map(int, sizes.split("-"))), int(batch), kind == "adam")
    except ValueError:
        cell = None
    if cell is None or kind not in ("", "adam") or len(cell.sizes) < 3:
        msg = f"no cell {text!r}; write it as 64-256-10,32 or 64-256-256-10,128,adam"
        raise ValueError(msg)
    if len(cell.sizes) > 3 and not cell.adam:
        msg = f"cell {text!r} has {len(cell.sizes) - 2} hidden layers; only cells with ',adam' may"
        raise ValueError(msg)
    return cell


THIRTEEN = [
    parse(name)
    for name in (
        "2-4-1,4",
        "64-16-10,32",
        "64-64-10,64",
        "64-256-10,32",
        "64-256-10,256",
        "64-1024-10,256",
        "64-1024-10,4096",
        "64-1024-10,16384",
        "784-128-10,128",
        "784-512-10,512",
        "784-512-10,8192",
        "1024-1024-1024,1024",
        "784-4096-10,1024",
    )
]
WITH_ADAM = [parse("64-256-256-10,128,adam"), parse("784-512-256-10,512,adam")]
CELLS = [*THIRTEEN, *WITH_ADAM]
