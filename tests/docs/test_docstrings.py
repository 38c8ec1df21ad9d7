"""Docstrings of the reference have a summary, parameters, results, the errors raised and an example."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PAGES = sorted((ROOT / "docs" / "api").glob("*.rst"))
MODULES = sorted(
    {name for p in PAGES for name in re.findall(r"automodule:: (\S+)", p.read_text("utf-8"))}
)
# Functions whose example would repeat another one, or would need a whole training run.
SHOWN_ELSEWHERE = {
    "chainrule.data.inputs": "NeuralNetwork.train, which passes its arguments on",
    "chainrule.data.targets": "NeuralNetwork.train, likewise",
    "chainrule.training.memory": "NeuralNetwork.memory_estimate",
    "chainrule.training.tasks": "NeuralNetwork.train",
    "chainrule.explain.oracles": "NeuralNetwork.check_gradients",
    "chainrule.training.evaluation": "NeuralNetwork.evaluate",
}


def file_of(module):
    path = SOURCE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def drawn_from(package):
    """Return the modules and names that a package re-exports."""
    tree = ast.parse(file_of(package).read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {(node.module, alias.name) for node in imports for alias in node.names}


def public(module):
    """Yield every public function and class of a module, with their methods, as ``(name, node)``."""
    tree = ast.parse(file_of(module).read_text("utf-8"))
    stack = [("", node) for node in tree.body]
    while stack:
        above, node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            name = f"{above}{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                stack += [(f"{name}.", inner) for inner in node.body]


PICTURES = drawn_from("chainrule.plots")
EVERY = [
    (f"{module}.{name}", module, node)
    for module in sorted({*MODULES, "chainrule.network", *(module for module, _ in PICTURES)})
    for name, node in public(module)
    if not module.startswith("chainrule.plots") or (module, name) in PICTURES
]
FUNCTIONS = [entry for entry in EVERY if isinstance(entry[2], ast.FunctionDef)]


def docstring(node):
    return ast.get_docstring(node) or ""


def called(node):
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return {function.id for function in calls if isinstance(function, ast.Name)}


def test_the_reference_shows_the_library():
    assert len(MODULES) > 20
    assert len(EVERY) > 150


def test_a_docstring_says_in_its_first_line_what_it_is():
    first = {name: docstring(node).partition("\n")[0] for name, _, node in EVERY}
    assert {n: line for n, line in first.items() if line[-1:] not in (".", ":") or len(line) > 105} == {}


def test_a_function_describes_its_parameters_and_its_result():
    lacking = []
    for name, _, node in FUNCTIONS:
        if {"property", "cached_property", "setter"} & {
            getattr(d, "id", getattr(d, "attr", "")) for d in node.decorator_list
        }:
            continue
        text, arguments = docstring(node), [*node.args.args, *node.args.kwonlyargs]
        if any(a.arg not in ("self", "cls") for a in arguments) and "Parameters\n---" not in text:
            lacking.append((name, "Parameters"))
        returned = node.returns is not None and ast.unparse(node.returns) not in ("None", "Self")
        if returned and "Returns\n---" not in text and "Yields\n---" not in text:
            lacking.append((name, "Returns"))
    assert lacking == []


def test_a_function_that_raises_says_what_and_when():
    raised = [
        (name, ast.unparse(raising.exc.func), docstring(node).partition("Raises")[2])
        for name, _, node in FUNCTIONS
        for raising in ast.walk(node)
        if isinstance(raising, ast.Raise) and isinstance(raising.exc, ast.Call)
    ]
    assert [(name, error) for name, error, section in raised if error not in section] == []
    silent = [(name, called(node)) for name, _, node in FUNCTIONS if "Raises" not in docstring(node)]
    assert [name for name, calls in silent if calls & {"require", "refusing"}] == []


def test_a_function_has_an_example():
    shown = [
        (name, node)
        for name, module, node in FUNCTIONS
        if name.removeprefix(f"{module}.") == node.name  # a method's is that of its class
        and module not in SHOWN_ELSEWHERE
        and not module.startswith("chainrule.program")
    ]
    assert [name for name, node in shown if ">>>" not in docstring(node)] == []
