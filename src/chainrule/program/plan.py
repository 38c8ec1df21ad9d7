"""The plan: the position of each value of a program in memory, decided before it runs.

Each result gets a place in a storage. If it is the last to read an operand and can be computed in place, it takes
the storage of that operand; otherwise a free storage, or a new one. Values that are carried from step to step (the
parameters, the optimizer's state) are written where they were read. A concatenation costs nothing: its parts are
computed in their places of the whole. So a step allocates nothing, and the bytes are known exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from chainrule.mathematics.arrays import size
from chainrule.program.operations import Fusion, Operation, Program, Value, alone

Carried = Sequence[tuple[Value, Value]]


@dataclass(eq=False)
class Storage:
    """Memory of an input or a constant, or scratch memory of this many bytes."""

    nbytes: int
    value: Value | None = None  # the input or the constant; None: scratch

    @property
    def is_scratch(self) -> bool:
        """Whether the storage is scratch memory."""
        return self.value is None


class Home(NamedTuple):
    """The position of a value: the elements from ``start`` along the last axis of an array of shape ``whole``.

    The storage holds that array. Without leading dimensions it is flat.
    """

    storage: Storage
    start: int = 0
    whole: tuple[int, ...] | None = None  # None: the storage holds this value only


def _of_program(name: str, doc: str = "") -> Any:
    """Return a property of a plan that reads the same property of its program."""
    return property(lambda plan: getattr(plan.program, name), doc=doc or getattr(Program, name).__doc__)


@dataclass
class Plan:
    """A program with a position in memory for each of its values.

    Attributes
    ----------
    program
        The program.
    carried
        Pairs of an input and the output that takes its place.
    groups
        The groups of operations that compute something, in order; ``copy`` moves values that cannot be computed
        in their places.
    homes
        The place of each root value, by ``id``; a view has that of its root.
    """

    program: Program
    carried: tuple[tuple[Value, Value], ...]
    groups: list[Fusion] = field(default_factory=list)
    homes: dict[int, Home] = field(default_factory=dict)

    @cached_property
    def storages(self) -> list[Storage]:
        """All storages, each once."""
        return list({id(home.storage): home.storage for home in self.homes.values()}.values())

    operations = _of_program("operations", "The operations of the program, in order.")
    matmuls, row_products = _of_program("matmuls"), _of_program("row_products")
    flops, bytes = _of_program("flops"), _of_program("bytes")

    @property
    def launches(self) -> int:
        """The number of calls, or kernels, of a step."""
        return len(self.groups)

    @property
    def scratch_bytes(self) -> int:
        """The bytes of scratch memory."""
        return sum(storage.nbytes for storage in self.storages if storage.is_scratch)

    @property
    def constant_bytes(self) -> int:
        """The bytes of constants that are not a single number."""
        return sum(s.nbytes for s in self.storages if s.value is not None and s.value.is_constant)

    @property
    def peak_bytes(self) -> int:
        """The bytes of all arrays of a step: its inputs, its constants and its scratch."""
        return self.program.input_bytes + self.constant_bytes + self.scratch_bytes

    __repr__ = Program.__repr__  # a plan has the same counts

    def __str__(self) -> str:
        """Return the table of operations, and their counts."""
        return (
            f"{self.program}\n"
            f"{self.matmuls} matrix products and {self.row_products} of one row, {self.flops:,} FLOPs; "
            f"{self.launches} launches, {self.bytes:,} bytes read and written; "
            f"{self.peak_bytes:,} bytes at the peak"
        )


class Roots:
    """Finds the value that owns the memory of a view, and the view's position in it."""

    def __init__(self, program: Program) -> None:
        self._views = {id(op.result): op for op in program.operations if op.is_view}

    def of(self, value: Value) -> Value:
        """Return the value that owns the memory of ``value``.

        Parameters
        ----------
        value : Value
            A value of the program, a view or not.

        Returns
        -------
        Value
            The root of the view; ``value`` itself if it is not a view.
        """
        while view := self._views.get(id(value)):
            value = view.inputs[0]
        return value

    def start(self, value: Value) -> int | None:
        """Return where ``value`` starts along the last axis of its root; ``None`` if it is not a part of that axis.

        Parameters
        ----------
        value : Value
            A value of the program, a view or not.

        Returns
        -------
        int or None
            The number of elements before it along that axis.
        """
        start = 0
        while view := self._views.get(id(value)):
            if view.function == "matrix_transpose":
                return None
            if view.function == "slice":
                *lead, last = view.settings["places"]
                if any(place not in (..., slice(None)) for place in lead):
                    return None
                start += last.indices(view.inputs[0].shape[-1])[0]
            value = view.inputs[0]
        return start

    def is_whole(self, value: Value) -> bool:
        """Return whether ``value`` has all entries of its root, in the same order.

        Parameters
        ----------
        value : Value
            A value of the program, a view or not.

        Returns
        -------
        bool
            ``True`` also for a value that is not a view.
        """
        root = self.of(value)
        return self.start(value) == 0 and size(value.shape) == size(root.shape)


class _Planner:
    """Assigns memory to each value of a program."""

    def __init__(self, program: Program, carried: Carried, groups: Sequence[Fusion]) -> None:
        self._plan = Plan(program, tuple(carried))
        self._groups = groups
        self._roots = roots = Roots(program)
        # The number of the last group that reads each root; infinity for the outputs.
        self._last_use: dict[int, float] = {
            id(roots.of(value)): number for number, group in enumerate(groups) for value in group.inputs
        }
        self._last_use |= {id(roots.of(value)): math.inf for value in program.outputs}
        self._maker = {id(result): n for n, group in enumerate(groups) for result in group.results}
        joins = {number: group.only for number, group in enumerate(groups) if group.is_concat}
        self._joined = {id(concat.result) for concat in joins.values()}
        # The position of each result that is computed inside a concatenation.
        self._parts: dict[int, tuple[Value, int]] = {}
        for number, concat in joins.items():
            self._adopt(number, concat)
        self._into = {id(output): value for value, output in carried}
        self._free: list[Storage] = []
        for value in program.inputs:
            self._plan.homes[id(value)] = Home(Storage(value.nbytes, value))

    def plan(self) -> Plan:
        for number, group in enumerate(self._groups):
            self._keep_constants(group)
            if group.is_concat:
                self._join(group.only)
            else:
                for result in group.results:
                    self._plan.homes[id(result)] = self._home(number, group, result)
                self._plan.groups.append(group)
            self._release(number, group)
        self._carry()
        return self._plan

    def _carry(self) -> None:
        """Copy carried values that were not computed in their own memory; inputs may be exchanged."""
        moves = [(output, value) for value, output in self._plan.carried]
        moves = [(o, v) for o, v in moves if self._homes(o).storage is not self._homes(v).storage]
        while moves:
            read = [self._homes(output).storage for output, _ in moves]
            free = [m for m in moves if not any(self._homes(m[1]).storage is s for s in read)]
            if free:
                self._copy(*free[0])
                moves.remove(free[0])
                continue
            output, _ = moves[0]  # a cycle: copy one of them first, and move it from the copy
            aside = Value(output.shape, output.dtype)
            self._plan.homes[id(aside)] = Home(self._scratch(output.nbytes))
            self._copy(output, aside)
            moves = [(aside if o is output else o, v) for o, v in moves]

    def _homes(self, value: Value) -> Home:
        return self._plan.homes[id(self._roots.of(value))]

    def _adopt(self, number: int, concat: Operation) -> None:
        """Note which parts of a concatenation, group ``number``, can be computed inside it.

        A later concatenation that contains a part of an earlier one, at the same place, takes over its memory, if
        nothing reads the earlier one after the other parts have been computed.
        """
        start, whole, maker, parts = 0, concat.result, self._maker, self._parts
        fresh: list[tuple[Value, int]] = []  # roots that can be computed inside the concatenation
        kept: list[tuple[Value, Value]] = []  # roots that are part of a whole already, and the whole
        others: list[int] = []  # roots of parts that must be copied
        for part in concat.inputs:
            root = self._roots.of(part)
            fits = id(root) in self._joined and root.shape == concat.result.shape
            if fits and self._roots.start(part) == start:
                whole = parts.get(id(root), (root, 0))[0]
                kept.append((root, whole))
            elif id(root) in maker and id(root) not in parts and self._roots.is_whole(part):
                fresh.append((root, start))
            else:
                others.append(id(root))
            start += part.shape[-1]
        if whole is not concat.result:
            others += [id(root) for root, there in kept if there is not whole]
            writers = [maker[id(root)] for root, _ in fresh] + [number] * bool(others)
            here = {id(whole)} | {key for key, (other, _) in parts.items() if other is whole}
            is_read = writers and self._is_still_read(here, fresh, min(writers), number)
            if is_read or here.intersection(others):
                whole = concat.result
            else:
                parts[id(concat.result)] = whole, 0
                last = self._last_use.get(id(concat.result), number)
                self._last_use[id(whole)] = max(self._last_use[id(whole)], last)
        for root, place in fresh:
            parts[id(root)] = whole, place

    def _is_still_read(
        self, here: set[int], fresh: list[tuple[Value, int]], first: int, number: int
    ) -> bool:
        """Return whether any root in ``here`` is read after group ``first`` has overwritten it.

        That group itself may read the entries that it overwrites, one by one; group ``number`` is the concatenation.
        """
        places = {(place, size(root.shape)) for root, place in fresh}
        for n, group in enumerate(self._groups[first:], start=first):
            for value in group.inputs if n != number else ():
                if id(self._roots.of(value)) in here:
                    run = self._roots.start(value), size(value.shape)
                    if n > first or not group.is_elementwise or run not in places:
                        return True
        return any(self._last_use.get(root) == math.inf for root in here)

    def _home(self, number: int, group: Fusion, result: Value) -> Home:
        if id(result) in self._parts:
            whole, start = self._parts[id(result)]
            return Home(self._whole(whole).storage, start, whole.shape)
        carried = self._into.get(id(result))
        if carried is not None and self._last_use.get(id(carried), -1) <= number:
            return self._plan.homes[id(carried)]
        for operand in group.inputs:
            if self._may_take(number, group, operand, result):
                self._last_use[id(self._roots.of(operand))] = -1  # its memory is reused
                return self._homes(operand)
        return self._new(result)

    def _whole(self, whole: Value) -> Home:
        if id(whole) not in self._plan.homes:
            self._plan.homes[id(whole)] = self._new(whole)
        return self._plan.homes[id(whole)]

    def _new(self, value: Value) -> Home:
        """Return a home that shares no memory with values in use; an output has its own storage."""
        is_output = self._last_use.get(id(value)) == math.inf
        return Home(Storage(value.nbytes) if is_output else self._scratch(value.nbytes))

    def _may_take(self, number: int, group: Fusion, operand: Value, result: Value) -> bool:
        """Return whether a result may overwrite an operand: its group is the last to read it, entry by entry."""
        is_output = self._last_use.get(id(result)) == math.inf
        is_by_entry = group.is_elementwise and not group.reads_rows_of(operand)
        if is_output or operand.is_constant or not is_by_entry:
            return False
        root, home = self._roots.of(operand), self._homes(operand)
        is_last = self._last_use.get(id(root)) == number and id(root) not in self._joined
        is_alike = operand.shape == result.shape and operand.dtype == result.dtype
        is_free = home.storage.is_scratch and home.whole is None and self._roots.is_whole(operand)
        return is_last and is_alike and is_free

    def _join(self, operation: Operation) -> None:
        """Set the position of a concatenation, and copy the parts that were not computed in it."""
        whole, _ = self._parts.get(id(operation.result), (operation.result, 0))
        home = self._whole(whole)
        self._plan.homes[id(operation.result)] = home
        start = 0
        for part in operation.inputs:
            there = self._homes(part)
            begin = self._roots.start(part)  # None: transposed
            if there.storage is not home.storage or begin is None or there.start + begin != start:
                place = Value(part.shape, part.dtype)
                self._plan.homes[id(place)] = Home(home.storage, start, whole.shape)
                self._copy(part, place)
            start += part.shape[-1]

    def _copy(self, source: Value, target: Value) -> None:
        self._plan.groups.append(alone(Operation("copy", (source,), target)))

    def _scratch(self, nbytes: int) -> Storage:
        """Return the smallest free storage that is large enough; otherwise the largest one, enlarged; otherwise a new one."""
        if not self._free:
            return Storage(nbytes)
        storage = min(self._free, key=lambda s: (s.nbytes < nbytes, abs(s.nbytes - nbytes)))
        storage.nbytes = max(storage.nbytes, nbytes)
        self._free.remove(storage)
        return storage

    def _release(self, number: int, group: Fusion) -> None:
        for operand in group.inputs:
            root = self._roots.of(operand)
            home = self._plan.homes.get(id(root))
            is_last = self._last_use.get(id(root)) == number
            if home and home.whole is None and home.storage.is_scratch and is_last:
                self._last_use[id(root)] = -1
                self._free.append(home.storage)

    def _keep_constants(self, group: Fusion) -> None:
        for value in group.inputs:
            is_array = value.data is not None and (value.data.ndim > 0 or not group.is_elementwise)
            if is_array:
                self._plan.homes.setdefault(id(value), Home(Storage(value.nbytes, value)))


def plan(program: Program, carried: Carried = (), groups: Sequence[Fusion] | None = None) -> Plan:
    """Return a program with memory assigned to each value.

    Parameters
    ----------
    program
        A traced function, without dead code.
    carried
        Pairs of an input and the output that takes its place in the next step.
    groups
        The operations in groups, as they run; by default, each operation is a group.

    Returns
    -------
    Plan
        The places, and the groups with the copies that are needed.

    Examples
    --------
    >>> from chainrule.mathematics.arrays import namespace
    >>> from chainrule.program.trace import Spec, trace
    >>> planned = plan(trace(lambda x: namespace(x).tanh(-(x + 1.0)), Spec((3, 2), "float32", "x")))
    >>> planned.scratch_bytes  # one for the sum and its negative, one for the output
    48
    """
    if groups is None:
        groups = [alone(operation) for operation in program.operations if not operation.is_view]
    return _Planner(program, carried, groups).plan()
