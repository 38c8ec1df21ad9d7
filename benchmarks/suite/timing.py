"""Timing: a benchmark's rounds, each with a block of the bare products before it.

What pytest-benchmark's columns show is the seconds of a step by the clock of the process that takes it: a
block's by its steps; of ``train``, its epochs alone. ``extra_info["wall_s"]`` has the same by this process's
clock, the way to the worker and back included; ``round_trip_s`` is that way.
"""

import time
from typing import Any

from chainrule.bench import roster
from suite.cases import Case
from suite.stage import Stage, Turn, facts, products_case

_clock = 0.0


def worker_clock() -> float:
    """Return the seconds a step of all blocks so far, each by the clock of its worker."""
    return _clock


def timed(benchmark: Any, stage: Stage, case: Case, operation: str) -> None:
    """Time a case; its bare products take a block before each of its own.

    Raises
    ------
    CannotRunError
        If it is not there.
    RuntimeError
        If its numbers are wrong, or its process fails.
    """
    turn = stage.turn(case, operation, is_timed=benchmark.enabled)
    products = _products(stage, case, operation, is_timed=benchmark.enabled)
    seconds: dict[str, list[float]] = {"wall_s": [], "enqueued_s": [], "products_s": []}

    def beside() -> None:
        if products is not None:
            products.pass_untimed()
            seconds["products_s"].append(products.block()["seconds"] / products.steps)
        turn.pass_untimed()

    def block() -> None:
        global _clock  # noqa: PLW0603  a timer takes no argument
        began = time.perf_counter()
        took = turn.block()
        seconds["wall_s"].append((time.perf_counter() - began) / turn.steps)
        seconds["enqueued_s"].append(took["enqueued"] / turn.steps)
        _clock += took["seconds"] / turn.steps

    benchmark.group = f"{operation}: {case.preset}, batch {case.cell.batch}"
    benchmark.pedantic(block, setup=beside, rounds=_rounds(stage, turn, products))
    benchmark.extra_info |= {
        **_told(case, operation, turn),
        **facts(case.cell, operation),
        **seconds,
        "environment": stage.environment(case),
    }
    stage.drop(turn, *([products] if products else []))


def _products(stage: Stage, case: Case, operation: str, *, is_timed: bool) -> Turn | None:
    found = products_case(case, operation)
    return None if found is None else stage.turn(*found, is_timed=is_timed)


def _rounds(stage: Stage, turn: Turn, products: Turn | None) -> int:
    care = stage.care
    each = sum((one.passes + 1) * one.answer["pass"] for one in (turn, products) if one is not None)
    return max(care.least_rounds, min(int(care.budget / each), care.rounds))


def _told(case: Case, operation: str, turn: Turn) -> dict[str, Any]:
    answer = turn.answer
    return {
        "contestant": case.contestant,
        "library": roster.entry(case.contestant).library,
        "is_tuned": roster.entry(case.contestant).is_tuned,
        "cell": case.cell.name,
        "preset": case.preset,
        "dtype": case.cell.dtype,
        "operation": operation,
        "threads": case.threads,
        "passes": turn.passes,
        "steps": turn.steps,
        "round_trip_s": answer["round_trip"],
        "first_call_s": answer["first_call"],
        "calls": answer["calls"],
        "note": answer["note"],
        "check": answer["check"],
    }
