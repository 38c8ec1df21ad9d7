"""`Writer`: one native function being written: its arguments, loops, loads and stores."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from llvmlite import ir

from chainrule.program.native.lanes import (
    ITEM_BITS,
    POINTER,
    WORD,
    Lanes,
    Value,
    call_function,
    is_float,
    lanes_type,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def new_module() -> ir.Module:
    """Return an empty module; the machine that compiles it fills in what it is for."""
    module = ir.Module()
    module.triple = ""
    return module


class Writer:
    """An LLVM function `void name(int64 *arguments)` of a module, open at its entry."""

    def __init__(self, module: ir.Module, name: str) -> None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
        function.attributes.add("nounwind")  # no unwind tables
        self.arguments = function.args[0]
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))

    def word(self, number: int) -> Value:
        """Return a 64-bit constant."""
        return ir.Constant(WORD, number)

    def word_place(self, base: Value, index: int) -> Value:
        """Return the pointer to 64-bit word `index` after the pointer `base`."""
        return self.builder.gep(base, [self.word(index)], source_etype=WORD)

    def argument(self, index: int) -> Value:
        """Return word `index` of the arguments."""
        return self.builder.load(self.word_place(self.arguments, index), typ=WORD)

    def plus(self, base: Value, *terms: Value | tuple[Value, int]) -> Value:
        """Return an integer address plus offsets in bytes; a pair is a number times a constant."""
        for term in terms:
            offset = self.builder.mul(term[0], self.word(term[1])) if isinstance(term, tuple) else term
            base = self.builder.add(base, offset)
        return base

    def pointer(self, base: Value, *terms: Value | tuple[Value, int]) -> Value:
        """Return the pointer to the integer address `base` plus offsets, as `plus` takes them."""
        return self.builder.inttoptr(self.plus(base, *terms), POINTER)

    def call(self, address: Value, *values: Value) -> None:
        """Call the `void` C function at an integer address."""
        signature = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        self.builder.call(self.builder.inttoptr(address, signature.as_pointer()), values)

    def variable(self, typ: ir.Type) -> Value:
        """Return a new local variable; made in the entry block, so that none is made again in a loop."""
        with self.builder.goto_entry_block():
            return self.builder.alloca(typ)

    @contextlib.contextmanager
    def loop(self, start: int | Value, stop: int | Value, step: int = 1) -> Iterator[Value]:
        """Write a loop `for index in range(start, stop, step)`; its body is what the `with` block writes.

        A loop that is known to run once is its body alone.
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
            name, bytes_ = (
                f"llvm.masked.load.{suffix(dtype, width)}.p0",
                ir.Constant(ir.IntType(32), align),
            )
            value = call_function(self.builder, name, typ, pointer, bytes_, mask, ir.Constant(typ, None))
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
        name, bytes_ = (
            f"llvm.masked.store.{suffix(value.dtype, value.width)}.p0",
            ir.Constant(ir.IntType(32), align),
        )
        call_function(self.builder, name, ir.VoidType(), items, pointer, bytes_, mask)


def suffix(dtype: str, width: int) -> str:
    """Return the ending of an intrinsic's name for `width` items in memory: `v16f32`, `v16i8`."""
    return f"v{width}{'f' if is_float(dtype) else 'i'}{ITEM_BITS[dtype]}"
