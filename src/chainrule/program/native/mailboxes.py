"""The native half of the worker pool: mailboxes, in which tables are posted to threads that spin without the GIL.

A mailbox is a row of `LINE` int64 words that one worker reads. All atomics are sequentially consistent: a worker that falls
asleep looks once more after it has said so, and a poster looks whether it sleeps after it has posted, so no post is lost.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Final

from llvmlite import ir

from chainrule.program.native.interpreter import write_run
from chainrule.program.native.lanes import WORD, Value, call_function
from chainrule.program.native.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

_YIELD_EVERY: Final = 256  # spins, a power of two: some 5 us
LINE: Final = 16  # words a worker's mailbox takes: two cache lines, so that mailboxes share none
POSTED, FINISHED, ASLEEP, TABLE, LENGTH, SPINS = range(6)  # words of a mailbox
SEQUENCE, OWN_TABLE, OWN_LENGTH, SLEEPING, UNFINISHED = range(
    2, 7
)  # words of the poster, after mailboxes and count
STOP: Final = -1  # a table's length that ends the worker


class _MailWriter(Writer):
    """A writer with what mailboxes need: atomic words and a pause."""

    def read(self, mailbox: Value, word: int) -> Value:
        """Return a word of a mailbox, atomically."""
        return self.builder.load_atomic(self.word_place(mailbox, word), "seq_cst", 8, typ=WORD)

    def write(self, mailbox: Value, word: int, value: Value) -> None:
        """Set a word of a mailbox, atomically."""
        self.builder.atomic_rmw("xchg", self.word_place(mailbox, word), value, "seq_cst")

    def wait(self, mailbox: Value, watched: int, value: Value, *, until_equal: bool) -> None:
        """Spin, at most the mailbox's number of times, until a word is (or is not) `value`."""
        builder = self.builder
        before = builder.block
        limit = builder.load(self.word_place(mailbox, SPINS), typ=WORD)
        head, body, after = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        spins = builder.phi(WORD)
        spins.add_incoming(self.word(0), before)
        reached = builder.icmp_signed("==" if until_equal else "!=", self.read(mailbox, watched), value)
        builder.cbranch(builder.or_(reached, builder.icmp_signed(">=", spins, limit)), after, body)
        builder.position_at_end(body)
        self._pause()
        if os.name == "posix":  # where two threads share one processor, let the other go on
            often = builder.icmp_signed(
                "==", builder.and_(spins, self.word(_YIELD_EVERY - 1)), self.word(_YIELD_EVERY - 1)
            )
            with builder.if_then(often, likely=False):
                call_function(builder, "sched_yield", ir.IntType(32))
        spins.add_incoming(builder.add(spins, self.word(1)), builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def _pause(self) -> None:
        machine = platform.machine().lower()
        if machine in ("x86_64", "amd64"):
            call_function(self.builder, "llvm.x86.sse2.pause", ir.VoidType())
        elif machine in ("aarch64", "arm64"):
            call_function(
                self.builder, "llvm.aarch64.hint", ir.VoidType(), ir.Constant(ir.IntType(32), 1)
            )  # yield


def print_serve() -> str:
    """Return the module of `serve`: run posted tables until a spin ends without one (say asleep), or until told to stop."""
    writer = _MailWriter("serve")
    builder, mailbox = writer.builder, writer.arguments
    writer.write(mailbox, ASLEEP, writer.word(0))
    again, work, idle, end = (
        builder.append_basic_block(name) for name in ("again", "work", "idle", "end")
    )
    builder.branch(again)
    builder.position_at_end(again)
    last = writer.read(mailbox, FINISHED)
    writer.wait(mailbox, POSTED, last, until_equal=False)
    builder.cbranch(builder.icmp_signed("!=", writer.read(mailbox, POSTED), last), work, idle)
    builder.position_at_end(idle)
    writer.write(mailbox, ASLEEP, writer.word(1))
    builder.cbranch(builder.icmp_signed("!=", writer.read(mailbox, POSTED), last), work, end)
    builder.position_at_end(work)
    writer.write(mailbox, ASLEEP, writer.word(0))
    length = builder.load(writer.word_place(mailbox, LENGTH), typ=WORD)
    posted = writer.read(mailbox, POSTED)
    write_run(writer, builder.load(writer.word_place(mailbox, TABLE), typ=WORD), length)
    writer.write(mailbox, FINISHED, posted)
    builder.cbranch(builder.icmp_signed("==", length, writer.word(STOP)), end, again)
    builder.position_at_end(end)
    return writer.text()


def print_work(name: str) -> str:
    """Return the module of `work`: run the own table, then join; or of `post`: post to all, and where none sleeps, work.

    Arguments: mailboxes, how many, sequence number, own table, its length, and out: how many workers were asleep (then `post`
    has run nothing: wake them and call `work`), how many had not finished when the joining spin ended.
    """
    writer = _MailWriter(name)
    builder = writer.builder
    sequence, table, length = (writer.argument(i) for i in (SEQUENCE, OWN_TABLE, OWN_LENGTH))
    go, end = builder.append_basic_block("go"), builder.append_basic_block("end")
    if name == "post":
        asleep = _count_mailboxes(writer, lambda mailbox: _post(writer, mailbox, sequence))
        builder.store(asleep, writer.word_place(writer.arguments, SLEEPING))
        builder.cbranch(builder.icmp_signed("!=", asleep, writer.word(0)), end, go)
    else:
        builder.branch(go)
    builder.position_at_end(go)
    write_run(writer, table, length)
    unfinished = _count_mailboxes(writer, lambda mailbox: _join(writer, mailbox, sequence))
    builder.store(unfinished, writer.word_place(writer.arguments, UNFINISHED))
    builder.branch(end)
    builder.position_at_end(end)
    return writer.text()


def _count_mailboxes(writer: _MailWriter, visit: Callable[[Value], Value]) -> Value:
    """Visit every mailbox; return at how many the visit was true."""
    builder = writer.builder
    with builder.goto_entry_block():
        total = builder.alloca(WORD)
    builder.store(writer.word(0), total)
    boxes = writer.pointer(writer.argument(0))
    with writer.loop(writer.word(0), writer.argument(1), 1) as index:
        offset = builder.mul(index, writer.word(LINE))
        found = visit(builder.gep(boxes, [offset], source_etype=WORD))
        builder.store(builder.add(builder.load(total, typ=WORD), builder.zext(found, WORD)), total)
    return builder.load(total, typ=WORD)


def _post(writer: _MailWriter, mailbox: Value, sequence: Value) -> Value:
    """Post; return whether the worker sleeps."""
    writer.write(mailbox, POSTED, sequence)
    return writer.builder.icmp_signed("!=", writer.read(mailbox, ASLEEP), writer.word(0))


def _join(writer: _MailWriter, mailbox: Value, sequence: Value) -> Value:
    """Wait a while for the worker; return whether it is still at work."""
    writer.wait(mailbox, FINISHED, sequence, until_equal=True)
    return writer.builder.icmp_signed("!=", writer.read(mailbox, FINISHED), sequence)
