"""Run a plan on signs instead of numbers, to check its use of memory.

Every item of every value gets its own sign, which depends only on the program. Running the plan on signs shows whether
each operand is still the value that was written there, so whether two values that are needed at the same time ever share
memory. Of the plan, only the homes are used, which are to be checked.
"""

import numpy as np


class SignedMemory:
    """The memory of a plan, with a sign in every byte."""

    def __init__(self, made):
        self._made = made
        self._program = made.program
        self._maker = {id(op.result): op for op in made.program.operations}
        self._signs, self._next = {}, 1
        self._memory = {id(storage): np.zeros(storage.nbytes, np.int64) for storage in made.storages}
        held = [s.value for s in made.storages if s.value is not None]
        for value in held:
            self._write(value, self.signs(value))

    def signs(self, value):
        """Return the sign of each item of a value, by what the program says it is."""
        if id(value) not in self._signs:
            self._signs[id(value)] = self._derived(value)
        return self._signs[id(value)]

    def _derived(self, value):
        maker = self._maker.get(id(value))
        function = maker.function if maker else ""
        if function == "slice":
            return self.signs(maker.inputs[0])[maker.settings["places"]]
        if function == "reshape":
            return self.signs(maker.inputs[0]).reshape(value.shape)
        if function == "matrix_transpose":
            return np.swapaxes(self.signs(maker.inputs[0]), -1, -2)
        if function == "concat":
            return np.concatenate([self.signs(part) for part in maker.inputs], axis=-1)
        count = int(np.prod(value.shape, dtype=int))
        first, self._next = self._next, self._next + count
        return np.arange(first, first + count).reshape(value.shape)

    def places(self, value):
        """Return the storage of a value and the byte at which each of its items begins."""
        maker = self._maker.get(id(value))
        if maker is not None and maker.function in ("slice", "reshape", "matrix_transpose"):
            storage, starts = self.places(maker.inputs[0])
            look = {
                "slice": lambda: starts[maker.settings["places"]],
                "reshape": lambda: starts.reshape(value.shape),
                "matrix_transpose": lambda: np.swapaxes(starts, -1, -2),
            }
            return storage, look[maker.function]()
        home = self._made.homes[id(value)]
        whole = value.shape if home.whole is None else home.whole
        starts = np.arange(np.prod(whole, dtype=int)).reshape(whole) * value.dtype.itemsize
        if home.whole is not None:
            length = int(np.prod(value.shape[len(whole) - 1 :], dtype=int))
            starts = starts[..., home.start : home.start + length].reshape(value.shape)
        return home.storage, starts

    def run(self):
        """Run all groups; raise ``AssertionError`` at the first that reads or destroys what it must not."""
        for group in self._made.groups:
            for value in group.inputs:
                if id(value) in self._made.homes or not value.is_constant:
                    self.check(value)
            self._check_overlaps(group)
            is_copy = [op.function for op in group.operations] == ["copy"]
            for result in group.results:
                signs = self.signs(group.inputs[0] if is_copy else result).reshape(result.shape)
                if is_copy and not any(result is value for value in self._program.inputs):
                    self._signs[id(result)] = signs  # it has no name in the program
                self._write(result, signs)
        carried = {id(value): output for value, output in self._made.carried}
        for value in self._program.inputs:  # what is not carried is as it was given
            self.check(value, carried.get(id(value), value))
        for output in self._program.outputs:
            if not any(output is other for _, other in self._made.carried):
                self.check(output)
        for storage in self._made.storages:
            if storage.value is not None and storage.value.is_constant:
                self.check(storage.value)

    def check(self, value, wanted=None):
        """Assert that what lies at the place of ``value`` is ``wanted``, or ``value`` itself."""
        storage, starts = self.places(value)
        found = self._memory[id(storage)][starts[..., None] + np.arange(value.dtype.itemsize)]
        signs = self.signs(value if wanted is None else wanted)
        assert (found == _by_byte(signs, value.dtype.itemsize)).all(), (
            f"{self._program.name(value)} is lost"
        )

    def _write(self, value, signs):
        storage, starts = self.places(value)
        bytes_ = starts[..., None] + np.arange(value.dtype.itemsize)
        assert bytes_.size == 0 or bytes_.max() < storage.nbytes, (
            f"{value.name} is longer than its storage"
        )
        self._memory[id(storage)][bytes_] = _by_byte(signs, value.dtype.itemsize)

    def _check_overlaps(self, group):
        """Assert that a result lies apart from all that is read and written with it, or in the very place."""
        for number, result in enumerate(group.results):
            others = [*group.inputs, *group.results[:number]]
            for other in others:
                if other.is_constant and id(other) not in self._made.homes:
                    continue
                (mine, here), (its, there) = self.places(result), self.places(other)
                if mine is not its or not _touch(here, result, there, other):
                    continue
                # A chain reads all of a row before it writes it, reductions included.
                elementwise = len(group.operations) > 1 or group.operations[0].is_elementwise
                same = here.size == there.size and (here.ravel() == there.ravel()).all()
                assert same, f"{result.name} lies partly over what it is computed from"
                assert elementwise, f"{result.name} overwrites what it is computed from"
                assert result.dtype.itemsize == other.dtype.itemsize
                assert any(other is value for value in group.inputs), "two results share a place"


def _by_byte(signs, itemsize):
    return np.asarray(signs)[..., None] * 8 + np.arange(itemsize)


def _touch(here, one, there, other):
    mine = (here[..., None] + np.arange(one.dtype.itemsize)).ravel()
    its = (there[..., None] + np.arange(other.dtype.itemsize)).ravel()
    return np.intersect1d(mine, its).size > 0
