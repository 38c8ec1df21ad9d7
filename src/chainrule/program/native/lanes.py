"""`Lanes`: a vector of values inside a native kernel that is being built, with Python's operators.

A formula written over `Lanes` (see `elementary.py`) reads as mathematics and writes LLVM instructions. The vectors
are explicit (`<16 x float>`), so nothing depends on LLVM's loop vectoriser: a kernel may work in place (the
vectoriser's run-time alias check would send such a loop to scalar code: six times slower, measured with numba),
compiles in milliseconds, and adds its lanes in an order that does not depend on the processor.

llvmlite is the optional extra `jit`; this module is imported only where it is installed.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir

Number = bool | int | float
Value = Any  # a value of llvmlite.ir, which has no types of its own

ITEM_BITS: Final = {"bool": 8, "int32": 32, "uint32": 32, "int64": 64, "float32": 32, "float64": 64}
POINTER: Final = ir.PointerType()
WORD: Final = ir.IntType(64)


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
    __hash__ = None  # type: ignore[assignment]  # == compares lanes, so a Lanes is no dictionary key

    def __init__(self, builder: ir.IRBuilder, value: Value, dtype: str, width: int) -> None:
        self.builder, self.value, self.dtype, self.width = builder, value, dtype, width

    @property
    def is_integer(self) -> bool:
        """Whether they are whole numbers, or bools."""
        return not is_float(self.dtype)

    @property
    def suffix(self) -> str:
        """The ending of an intrinsic's name for this type: `f32`, `v16f32`, `v16i32`."""
        item = ("f" if is_float(self.dtype) else "i") + str(ITEM_BITS[self.dtype])
        return item if self.width == 1 else f"v{self.width}{item}"

    def like(self, value: Value, dtype: str | None = None) -> Lanes:
        """Return `value`, an LLVM value, as lanes of this width."""
        return Lanes(self.builder, value, dtype or self.dtype, self.width)

    def constant(self, number: Number) -> Lanes:
        """Return a Python number in every lane, in this dtype."""
        typ = lanes_type(self.dtype, self.width)
        plain = float(number) if is_float(self.dtype) else int(number)
        return self.like(ir.Constant(typ, plain if self.width == 1 else [plain] * self.width))

    def other(self, other: Lanes | Number) -> Lanes:
        """Return the other operand of an expression with these lanes, a Python number in their dtype."""
        return other if isinstance(other, Lanes) else self.constant(other)

    def _binary(self, float_name: str, int_name: str, other: Lanes | Number) -> Lanes:
        operation = getattr(self.builder, float_name if is_float(self.dtype) else int_name)
        return self.like(operation(self.value, self.other(other).value))

    def __add__(self, other: Lanes | Number) -> Lanes:
        return self._binary("fadd", "add", other)

    def __sub__(self, other: Lanes | Number) -> Lanes:
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other: Number) -> Lanes:
        return self.constant(other) - self

    def __mul__(self, other: Lanes | Number) -> Lanes:
        return self._binary("fmul", "mul", other)

    def __truediv__(self, other: Lanes | Number) -> Lanes:
        return self.like(self.builder.fdiv(self.value, self.other(other).value))

    def __neg__(self) -> Lanes:
        return (
            self.like(self.builder.fneg(self.value)) if is_float(self.dtype) else self.constant(0) - self
        )

    def __and__(self, other: Lanes | Number) -> Lanes:
        return self.like(self.builder.and_(self.value, self.other(other).value))

    def __or__(self, other: Lanes | Number) -> Lanes:
        return self.like(self.builder.or_(self.value, self.other(other).value))

    def __xor__(self, other: Lanes | Number) -> Lanes:
        return self.like(self.builder.xor(self.value, self.other(other).value))

    def __lshift__(self, other: Lanes | Number) -> Lanes:
        return self.like(self.builder.shl(self.value, self.other(other).value))

    def __rshift__(self, other: Lanes | Number) -> Lanes:
        shift = self.builder.lshr if self.dtype == "uint32" else self.builder.ashr
        return self.like(shift(self.value, self.other(other).value))

    def __invert__(self) -> Lanes:
        return self.like(self.builder.not_(self.value))

    def __pow__(self, power: int) -> Lanes:
        product = self
        for _ in range(power - 1):
            product = product * self
        return product

    def compare(self, operator: str, other: Lanes | Number) -> Lanes:
        """Return bool lanes; a comparison with NaN is False, except that `!=` is True."""
        right = self.other(other).value
        if is_float(self.dtype):
            compare = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        else:
            unsigned = self.dtype in ("uint32", "bool")
            compare = self.builder.icmp_unsigned if unsigned else self.builder.icmp_signed
        return self.like(compare(operator, self.value, right), "bool")

    def __lt__(self, other: Lanes | Number) -> Lanes:
        return self.compare("<", other)

    def __gt__(self, other: Lanes | Number) -> Lanes:
        return self.compare(">", other)

    def __le__(self, other: Lanes | Number) -> Lanes:
        return self.compare("<=", other)

    def __ge__(self, other: Lanes | Number) -> Lanes:
        return self.compare(">=", other)

    def __ne__(self, other: object) -> Lanes:  # type: ignore[override]
        return self.compare("!=", other)  # type: ignore[arg-type]

    def __eq__(self, other: object) -> Lanes:  # type: ignore[override]
        return self.compare("==", other)  # type: ignore[arg-type]

    def where(self, yes: Lanes | Number, no: Lanes | Number) -> Lanes:
        """Return, for bool lanes, `yes` where they hold and `no` elsewhere."""
        model = yes if isinstance(yes, Lanes) else no
        if not isinstance(model, Lanes):
            msg = f"where got two Python numbers, {yes} and {no}; make one of them lanes"
            raise TypeError(msg)
        chosen = self.builder.select(self.value, model.other(yes).value, model.other(no).value)
        return model.like(chosen)

    def call(self, intrinsic: str, *others: Lanes) -> Lanes:
        """Return an LLVM intrinsic of these lanes, such as `llvm.sqrt`, in their own type."""
        values = [self.value, *(other.value for other in others)]
        return self.like(
            call_function(self.builder, f"llvm.{intrinsic}.{self.suffix}", self.value.type, *values)
        )

    def rarely(self, condition: Lanes, intrinsic: str, value: Lanes) -> Lanes:
        """Return `value` in this dtype; if any lane has the condition, the C library's function in those lanes.

        LLVM calls it lane by lane, which is slow, so the call is branched around where it can be.
        """
        builder = self.builder
        value = value.astype(self.dtype)
        mask = condition.value if self.width == 1 else None
        if mask is None:
            name = f"llvm.vector.reduce.or.v{self.width}i1"
            mask = call_function(builder, name, ir.IntType(1), condition.value)
        before = builder.block
        with builder.if_then(mask, likely=False):
            chosen = condition.where(self.call(intrinsic), value)
            inside = builder.block
        result = builder.phi(value.value.type)
        result.add_incoming(value.value, before)
        result.add_incoming(chosen.value, inside)
        return self.like(result)

    def __abs__(self) -> Lanes:
        if is_float(self.dtype):
            return self.call("fabs")
        return (self < 0).where(-self, self)

    def times_plus(self, factor: Lanes | Number, term: Lanes | Number) -> Lanes:
        """Return `self * factor + term`, rounded once where the processor can (`llvm.fmuladd`)."""
        return self.call("fmuladd", self.other(factor), self.other(term))

    def bits(self) -> Lanes:
        """Return the bit pattern of float lanes as signed integers."""
        dtype = "int32" if self.dtype == "float32" else "int64"
        return self.like(self.builder.bitcast(self.value, lanes_type(dtype, self.width)), dtype)

    def from_bits(self, dtype: str) -> Lanes:
        """Return integer lanes read as the bit pattern of floats."""
        return self.like(self.builder.bitcast(self.value, lanes_type(dtype, self.width)), dtype)

    def astype(self, dtype: str) -> Lanes:
        """Return the lanes converted, as Array API `astype`; to bool is `!= 0`."""
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

    def spread(self, width: int) -> Lanes:
        """Return one value (`width` 1) in each of `width` lanes."""
        if self.width == width:
            return self
        vector = lanes_type(self.dtype, width)
        first = self.builder.insert_element(
            ir.Constant(vector, ir.Undefined), self.value, ir.Constant(ir.IntType(32), 0)
        )
        mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
        return Lanes(
            self.builder,
            self.builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask),
            self.dtype,
            width,
        )
