"""The sources of kernels, for tests: of every step, and of chains with every function."""

from chainrule.program.chains import DTYPES, HALVES, Chain, Operand, Output, Statement
from chainrule.program.cuda.batch import is_product
from chainrule.program.cuda.geometry import launch
from chainrule.program.cuda.lowering import fused
from chainrule.program.cuda.persistent import persistent
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.source import write
from chainrule.program.fusion import Extent
from chainrule.program.primitives import ELEMENTWISE, PRIMITIVES
from support.steps import CASES, Case, made_plan, made_work

S = Statement
MULTIPROCESSORS = 132


def kernels_of(plan):
    """Return the kernels of a step, with and without room to move several columns at once."""
    found = {}
    for group in cuda_plan(plan).groups:
        if not is_product(group):
            made = fused(group)
            for aligned in (True, False):
                text = write(launch(made, MULTIPROCESSORS, aligned=aligned).loop, made.tail)
                found[text.name] = text
    return found


def kernels_of_every_step(dtypes):
    """Return every kernel of every kind of step, once."""
    found = {}
    for dtype in dtypes:
        for case in CASES.values():
            found |= kernels_of(made_plan(case, 9, dtype))
    return found


def persistent_kernels(dtype):
    """Return the persistent kernels of every kind of step, and of steps in 16 bits."""
    halves = [Case((16, 16), "relu", "cross_entropy", additions={"compute": half}) for half in HALVES]
    works = [made_work(case, 12, dtype, 4) for case in (*CASES.values(), *halves)]
    return [persistent(work, 4, 1 << 20).text for work in works]


def cluster_kernels():
    """Return the persistent kernels of clusters: of the smallest and of the largest, with sums in each precision."""
    wide = Case((64, 64), "relu", "cross_entropy", "adam")
    half = Case((16, 16), "relu", "cross_entropy", additions={"compute": "bfloat16"})
    runs = [(wide, "float32", 16), (CASES["weights"], "float64", 2), (half, "float32", 8)]
    return [
        persistent(made_work(case, 512, dtype, 64), 64, 1 << 20, blocks).text
        for case, dtype, blocks in runs
    ]


def every_function(dtype):
    """Return a chain with every elementwise statement that the dtype allows."""
    x, y = (Operand(name, "full", dtype) for name in ("x0", "x1"))
    statements = [S("less", "r_less", ("x0", 3)), S("greater_equal", "r_other", ("x1", 9))]
    given = {"pow": ("x0", 3), "clip": ("x0", 2, 7), "where": ("r_less", "x0", 7)}
    for name in sorted(ELEMENTWISE - {"less", "astype"}):
        row, arguments = PRIMITIVES[name], given.get(name, ("x0", "x1"))
        if row.takes == "bool":
            arguments = ("r_less", "r_other")
        elif not row.accepts(dtype):
            continue
        statements.append(S(name, f"r_{name}", arguments[: row.arity]))
    statements.append(S("bitwise_invert", "r_not", ("r_less",)))
    casts = DTYPES if "float" in dtype else [to for to in DTYPES if to not in HALVES]
    statements += [S("astype", f"r_{to}", ("x0",), to) for to in casts]
    return Chain((x, y), tuple(statements), tuple(Output(s.result) for s in statements))


def kernel_of(chain, where=None, multiprocessors=MULTIPROCESSORS, *, aligned=True):
    """Return how a chain is launched over a grid, and its kernel."""
    from chainrule.program.cuda.lowering import Fused

    how = launch(Fused(chain, None, where or Extent(8, 8), (), ()), multiprocessors, aligned=aligned)
    return how, write(how.loop)
