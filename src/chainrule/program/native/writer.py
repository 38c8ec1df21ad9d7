"""A native function being written: its arguments, loops, loads and stores, and vectors with Python's operators.

A formula written for `Lanes` (see `elementary.py`) reads as mathematics and writes LLVM instructions. The vectors
are explicit (`<16 x float>`), so nothing depends on LLVM's loop vectoriser: a kernel may work in place (the
vectoriser's run-time check for overlap would send such a loop to scalar code: six times slower, measured with numba),
compiles in milliseconds, and adds its lanes in an order that does not depend on the processor.

llvmlite is the optional extra `jit`; this module is imported only if it is installed.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partialmethod
from typing import Any, Final

from llvmlite import ir

Number = bool | int | float
Value = Any  # a value of llvmlite.ir, which has no type annotations
Places = list[Value]  # integer addresses

ITEM_BITS: Final = {"bool": 8, "int32": 32, "uint32": 32, "int64": 64, "float32": 32, "float64": 64}
POINTER: Final = ir.PointerType()
WORD: Final = ir.IntType(64)
INT: Final = ir.IntType(32)


def is_float(dtype: str) -> bool:
    """Return whether `dtype` names a floating type."""
    return dtype.startswith("float")


def item_type(dtype: str, *, in_memory: bool = False) -> ir.Type:
    """Return the LLVM type of one item; a bool is one bit in a register and one byte in memory."""
    if is_float(dtype):
        return ir.FloatType() if dtype == "float32" else ir.DoubleType()
    return ir.IntType(1 if dtype == "bool" and not in_memory else ITEM_BITS[dtype])


def lanes_type(dtype: str, width: int, *, in_memory: bool = False) -> ir.Type:
    """Return the LLVM type of `width` items: the item's own type where `width` is 1."""
    item = item_type(dtype, in_memory=in_memory)
    return item if width == 1 else ir.VectorType(item, width)


def suffix(dtype: str, width: int) -> str:
    """Return the ending of an intrinsic's name for `width` items: `f32`, `v16f32`, `v16i8`."""
    item = f"{'f' if is_float(dtype) else 'i'}{ITEM_BITS[dtype]}"
    return item if width == 1 else f"v{width}{item}"


def call_function(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: Value) -> Value:
    """Call the LLVM intrinsic (`llvm.fabs.v16f32`) or C function of this name, declaring it on first use."""
    module = builder.module
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return builder.call(function, arguments)


class Lanes:
    """`width` values of one dtype; Python's operators act on each.

    A Python number in an expression with a `Lanes` takes its dtype. Integers wrap around.
    """

    __slots__ = ("builder", "dtype", "value", "width")
    __hash__ = None  # type: ignore[assignment]  # == compares lanes, so Lanes cannot be dictionary keys

    def __init__(self, builder: ir.IRBuilder, value: Value, dtype: str, width: int) -> None:
        self.builder, self.value, self.dtype, self.width = builder, value, dtype, width

    def like(self, value: Value, dtype: str | None = None) -> "Lanes":
        """Return `value`, an LLVM value, as lanes of this width."""
        return Lanes(self.builder, value, dtype or self.dtype, self.width)

    def constant(self, number: Number) -> "Lanes":
        """Return a Python number in every lane, in this dtype."""
        typ = lanes_type(self.dtype, self.width)
        plain = float(number) if is_float(self.dtype) else int(number)
        return self.like(ir.Constant(typ, plain if self.width == 1 else [plain] * self.width))

    def other(self, other: "Lanes | Number") -> "Lanes":
        """Return the other operand of an expression with these lanes, a Python number in their dtype."""
        return other if isinstance(other, Lanes) else self.constant(other)

    def write(self, for_floats: str, for_integers: str, other: "Lanes | Number") -> "Lanes":
        """Write one of these instructions of `ir.IRBuilder`."""
        instruction = getattr(self.builder, for_floats if is_float(self.dtype) else for_integers)
        return self.like(instruction(self.value, self.other(other).value))

    def compare(self, operator: str, other: "Lanes | Number") -> "Lanes":
        """Return bool lanes; a comparison with NaN is False, except that `!=` is True."""
        right = self.other(other).value
        if is_float(self.dtype):
            compare = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        else:
            unsigned = self.dtype in ("uint32", "bool")
            compare = self.builder.icmp_unsigned if unsigned else self.builder.icmp_signed
        return self.like(compare(operator, self.value, right), "bool")

    __add__, __sub__ = partialmethod(write, "fadd", "add"), partialmethod(write, "fsub", "sub")
    __mul__, __truediv__ = partialmethod(write, "fmul", "mul"), partialmethod(write, "fdiv", "")
    __and__, __or__ = partialmethod(write, "", "and_"), partialmethod(write, "", "or_")
    __xor__, __lshift__ = partialmethod(write, "", "xor"), partialmethod(write, "", "shl")
    __lt__, __le__ = partialmethod(compare, "<"), partialmethod(compare, "<=")
    __gt__, __ge__ = partialmethod(compare, ">"), partialmethod(compare, ">=")
    __eq__, __ne__ = partialmethod(compare, "=="), partialmethod(compare, "!=")  # type: ignore[assignment]

    def __rsub__(self, other: Number) -> "Lanes":
        return self.constant(other) - self

    def __neg__(self) -> "Lanes":
        return self.like(self.builder.fneg(self.value)) if is_float(self.dtype) else 0 - self

    def __rshift__(self, other: "Lanes | Number") -> "Lanes":
        shift = self.builder.lshr if self.dtype == "uint32" else self.builder.ashr
        return self.like(shift(self.value, self.other(other).value))

    def __invert__(self) -> "Lanes":
        return self.like(self.builder.not_(self.value))

    def __pow__(self, power: int) -> "Lanes":
        product = self
        for _ in range(power - 1):
            product = product * self
        return product

    def where(self, yes: "Lanes | Number", no: "Lanes | Number") -> "Lanes":
        """Return, for bool lanes, `yes` where they hold and `no` elsewhere; one of the two has lanes."""
        model = next(choice for choice in (yes, no) if isinstance(choice, Lanes))
        chosen = self.builder.select(self.value, model.other(yes).value, model.other(no).value)
        return model.like(chosen)

    def call(self, intrinsic: str, *others: "Lanes") -> "Lanes":
        """Return the result of an LLVM intrinsic, such as `sqrt`, for these lanes, in their dtype."""
        values = [self.value, *(other.value for other in others)]
        name = f"llvm.{intrinsic}.{suffix(self.dtype, self.width)}"
        return self.like(call_function(self.builder, name, self.value.type, *values))

    def rarely(self, condition: "Lanes", intrinsic: str, value: "Lanes") -> "Lanes":
        """Return `value` in this dtype, but the C library's function in the lanes where the condition holds.

        LLVM calls it lane by lane, which is slow, so a branch skips the call if no lane has the condition.
        """
        builder = self.builder
        value = value.astype(self.dtype)
        mask = condition.value
        if self.width > 1:
            name = f"llvm.vector.reduce.or.v{self.width}i1"
            mask = call_function(builder, name, ir.IntType(1), mask)
        before = builder.block
        with builder.if_then(mask, likely=False):
            chosen = condition.where(self.call(intrinsic), value)
            inside = builder.block
        result = builder.phi(value.value.type)
        result.add_incoming(value.value, before)
        result.add_incoming(chosen.value, inside)
        return self.like(result)

    def __abs__(self) -> "Lanes":
        if is_float(self.dtype):
            return self.call("fabs")
        return (self < 0).where(-self, self)

    def times_plus(self, factor: "Lanes | Number", term: "Lanes | Number") -> "Lanes":
        """Return `self * factor + term`, rounded once where the processor can (`llvm.fmuladd`)."""
        return self.call("fmuladd", self.other(factor), self.other(term))

    def bits(self) -> "Lanes":
        """Return the bit pattern of float lanes as signed integers."""
        return self.from_bits("int32" if self.dtype == "float32" else "int64")

    def from_bits(self, dtype: str) -> "Lanes":
        """Return the same bit pattern read as another dtype of its size."""
        return self.like(self.builder.bitcast(self.value, lanes_type(dtype, self.width)), dtype)

    def astype(self, dtype: str) -> "Lanes":
        """Return the lanes converted like `astype` of the Array API; a conversion to bool is `!= 0`."""
        if dtype == self.dtype:
            return self
        if dtype == "bool":
            return self.compare("!=", 0)
        target = lanes_type(dtype, self.width)
        return self.like(getattr(self.builder, self._conversion(dtype))(self.value, target), dtype)

    def _conversion(self, dtype: str) -> str:
        unsigned = self.dtype in ("bool", "uint32")
        if is_float(dtype):
            if is_float(self.dtype):
                return "fpext" if dtype == "float64" else "fptrunc"
            return "uitofp" if unsigned else "sitofp"
        if is_float(self.dtype):
            return "fptoui" if dtype == "uint32" else "fptosi"
        source_bits = 1 if self.dtype == "bool" else ITEM_BITS[self.dtype]
        if source_bits == ITEM_BITS[dtype]:
            return "bitcast"
        return "trunc" if source_bits > ITEM_BITS[dtype] else "zext" if unsigned else "sext"

    def spread(self, width: int) -> "Lanes":
        """Return a single value (`width` 1) in each of `width` lanes."""
        if self.width == width:
            return self
        undefined = ir.Constant(lanes_type(self.dtype, width), ir.Undefined)
        first = self.builder.insert_element(undefined, self.value, ir.Constant(INT, 0))
        return Lanes(self.builder, first, self.dtype, width).at([0] * width)

    def at(self, places: Sequence[int]) -> "Lanes":
        """Return the lanes at these indices."""
        mask = ir.Constant(ir.VectorType(INT, len(places)), list(places))
        undefined = ir.Constant(self.value.type, ir.Undefined)
        chosen = self.builder.shuffle_vector(self.value, undefined, mask)
        return Lanes(self.builder, chosen, self.dtype, len(places))


class Writer:
    """An LLVM function `void name(int64 *arguments)` of a module, open at its entry."""

    def __init__(self, module: ir.Module, name: str) -> None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
        function.attributes.add("nounwind")  # without unwind tables
        self.arguments = function.args[0]
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def word(self, number: int) -> Value:
        """Return a 64-bit constant."""
        return ir.Constant(WORD, number)

    def argument(self, index: int) -> Value:
        """Return word `index` of the arguments."""
        place = self.builder.gep(self.arguments, [self.word(index)], source_etype=WORD)
        return self.builder.load(place, typ=WORD)

    def pointer(self, base: Value, *terms: Value | tuple[Value, int]) -> Value:
        """Return the pointer to the integer address `base` plus offsets in bytes; a pair is a number times a constant."""
        for term in terms:
            offset = self.builder.mul(term[0], self.word(term[1])) if isinstance(term, tuple) else term
            base = self.builder.add(base, offset)
        return self.builder.inttoptr(base, POINTER)

    def call(self, address: Value, *values: Value) -> None:
        """Call the `void` C function at an integer address."""
        signature = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        self.builder.call(self.builder.inttoptr(address, signature.as_pointer()), values)

    def variable(self, typ: ir.Type) -> Value:
        """Return a new local variable, allocated in the entry block, so that a loop does not allocate it again."""
        with self.builder.goto_entry_block():
            return self.builder.alloca(typ)

    @contextlib.contextmanager
    def loop(self, start: int | Value, stop: int | Value, step: int = 1) -> Iterator[Value]:
        """Write a loop `for index in range(start, stop, step)`; the `with` block writes its body.

        If the loop is known to run once, only the body is written.
        """
        builder = self.builder
        if isinstance(start, int) and isinstance(stop, int) and len(range(start, stop, step)) == 1:
            yield self.word(start)
            return
        first, last = (self.word(x) if isinstance(x, int) else x for x in (start, stop))
        before = builder.block
        head, body, after = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(WORD)
        index.add_incoming(first, before)
        builder.cbranch(builder.icmp_signed("<", index, last), body, after)
        builder.position_at_end(body)
        yield index
        index.add_incoming(builder.add(index, self.word(step)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def first_lanes(self, count: int, width: int) -> Value:
        """Return the mask of the first `count` of `width` lanes; None for all of them."""
        if count >= width:
            return None
        bits = [int(lane < count) for lane in range(width)]
        return ir.Constant(ir.VectorType(ir.IntType(1), width), bits)

    def load(self, pointer: Value, dtype: str, width: int, mask: Value = None) -> Lanes:
        """Return `width` items at `pointer`; a lane outside `mask` is 0 and its memory is not touched."""
        typ, align = lanes_type(dtype, width, in_memory=True), ITEM_BITS[dtype] // 8
        if mask is None:
            value = self.builder.load(pointer, typ=typ, align=align)
        else:
            name = f"llvm.masked.load.{suffix(dtype, width)}.p0"
            settings = ir.Constant(INT, align), mask, ir.Constant(typ, None)
            value = call_function(self.builder, name, typ, pointer, *settings)
        if dtype == "bool":
            value = self.builder.icmp_unsigned("!=", value, ir.Constant(typ, None))
        return Lanes(self.builder, value, dtype, width)

    def store(self, pointer: Value, value: Lanes, mask: Value = None) -> None:
        """Store the lanes within `mask` at `pointer`."""
        typ, align = lanes_type(value.dtype, value.width, in_memory=True), ITEM_BITS[value.dtype] // 8
        items = self.builder.zext(value.value, typ) if value.dtype == "bool" else value.value
        if mask is None:
            self.builder.store(items, pointer, align=align)
            return
        name = f"llvm.masked.store.{suffix(value.dtype, value.width)}.p0"
        call_function(self.builder, name, ir.VoidType(), items, pointer, ir.Constant(INT, align), mask)
