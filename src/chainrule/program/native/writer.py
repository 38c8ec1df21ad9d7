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


class Writer:
    """An LLVM function `void name(int64 *arguments)` in a module of its own, open at its entry."""

    def __init__(self, name: str) -> None:
        self.module = ir.Module(name=name)
        self.module.triple = ""  # the machine that compiles fills it in
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
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

    def pointer(self, base: Value, *offsets: Value) -> Value:
        """Return the pointer to the integer address `base` plus offsets in bytes."""
        for offset in offsets:
            base = self.builder.add(base, offset)
        return self.builder.inttoptr(base, POINTER)

    def call(self, address: Value, *values: Value) -> None:
        """Call the `void` C function at an integer address."""
        signature = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        self.builder.call(self.builder.inttoptr(address, signature.as_pointer()), values)

    @contextlib.contextmanager
    def loop(self, start: Value, stop: Value, step: int) -> Iterator[Value]:
        """Write a loop `for index in range(start, stop, step)`; its body is what the `with` block writes."""
        builder = self.builder
        before = builder.block
        head, body, after = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(WORD)
        index.add_incoming(start, before)
        builder.cbranch(builder.icmp_signed("<", index, stop), body, after)
        builder.position_at_end(body)
        yield index
        index.add_incoming(builder.add(index, self.word(step)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def first_lanes(self, count: Value, width: int) -> Value:
        """Return the mask of the first `count` (a 64-bit word) of `width` lanes."""
        number = Lanes(self.builder, self.builder.trunc(count, ir.IntType(32)), "int32", 1).spread(width)
        lane = number.like(ir.Constant(number.value.type, list(range(width))))
        return (lane < number).value

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

    def text(self) -> str:
        """Close the function and return its module."""
        self.builder.ret_void()
        return str(self.module)


def suffix(dtype: str, width: int) -> str:
    """Return the ending of an intrinsic's name for `width` items in memory: `v16f32`, `v16i8`."""
    return f"v{width}{'f' if is_float(dtype) else 'i'}{ITEM_BITS[dtype]}"
