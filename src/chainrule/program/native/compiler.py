"""The compiler: returns the addresses of native functions, and keeps their machine code on disk.

Every function has one signature, `void function(int64 *arguments)`: `arguments` holds addresses and sizes. Called with
`ctypes` (`function_at`) it runs without the GIL; a table calls it by its address (`runner.py`).

The cache is a folder of object files, each with functions that were compiled together: `CHAINRULE_CACHE_DIR`, else
`~/.cache/chainrule`. The name of a file is a hash of the recipes of its functions (such as a chain's repr), our source, the
processor and llvmlite's version, so a stored function is loaded (1 ms) without writing its LLVM text (9 ms). A file is
written under another name and then renamed, so processes that compile the same function at once each leave a whole file.
A damaged file is compiled again, and so is one that another user owns or may write to, or whose folder is. A folder that
cannot be written only costs the compilation (tens of ms). Of more than 1,000 files the oldest are removed.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from chainrule.program import machine
from chainrule.program.native.writer import Writer

Write = Callable[[Writer], None]

Function = Any  # a ctypes function pointer: called with one integer, the address of its arguments

_PROTOTYPE: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_MAGIC: Final = b"chainrule object 1\n"  # then the SHA-256 of the rest, then the object
_KEPT: Final = 1000  # files on disk, about 10 kB each; the oldest are removed first
_loaded: dict[str, int] = {}
_keep_alive: list[Any] = []  # libraries in use, which are never unloaded
_lock = threading.RLock()  # held during all use of LLVM, which has its own locks
machine.while_forking(_lock)


def cache_folder() -> Path:
    """Return the folder of compiled functions; it need not exist."""
    return machine.cache_folder() / "native"


@functools.cache
def _machine() -> tuple[llvm.TargetMachine, Any, str]:
    """Return LLVM's target machine for this processor, a linker, and a text that names both."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    settings = {"cpu": cpu, "features": features, "opt": 3, "reloc": "pic", "codemodel": "default"}
    target = llvm.Target.from_default_triple()
    # The linker takes ownership of a machine, so it gets its own.
    machine, linkers = (target.create_target_machine(**settings) for _ in range(2))
    # JITLink keeps code and constants together: the usual linker ends the process
    # if they are more than 2 GB apart, as in a process with PyTorch and JAX.
    linker = llvm.create_lljit_compiler(linkers, use_jit_link=True, suppress_errors=True)
    return machine, linker, f"{llvmlite.__version__} {llvm.get_process_triple()} {cpu} {features}"


@functools.cache
def _sources() -> str:
    """Return the digest of this folder's source, from which, with a recipe, the text of every function follows."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(sources)).hexdigest()


def compile_functions(functions: Sequence[tuple[str, Write]]) -> list[int]:
    """Return the addresses of functions, from memory, from disk or compiled now (about 10 ms each).

    A function is a recipe, which is unique to it, and a callable that writes its code. Those that are new to this
    process are compiled together.
    """
    with _lock:
        _, _, machine_name = _machine()
        about = f"{machine_name}\n{_sources()}\n"
        keys = ["f" + hashlib.sha256((about + recipe).encode()).hexdigest() for recipe, _ in functions]
        new = {k: f for k, (_, f) in zip(keys, functions, strict=True) if k not in _loaded}
        if new:
            name = hashlib.sha256("".join(new).encode()).hexdigest()
            path = cache_folder() / f"{name}.o"
            code = _read(path)
            if code is None:
                code = emit_object(_text(new))
                _write(path, code)
            _link(code, new)
        return [_loaded[key] for key in keys]


def _text(functions: Mapping[str, Write]) -> str:
    """Return the text of the LLVM module of functions, by name."""
    module = ir.Module()
    module.triple = ""  # the target machine fills it in
    for name, write in functions.items():
        writer = Writer(module, name)
        write(writer)
        writer.builder.ret_void()
    return str(module)


def emit_object(text: str) -> bytes:
    """Return the machine code of an LLVM module as an object file."""
    machine, _, _ = _machine()
    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False  # the vectors are explicit already
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def _link(code: bytes, names: Iterable[str]) -> None:
    _, linker, _ = _machine()
    library = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    for name in names:
        library.export_symbol(name)
    tracker = library.link(linker, next(iter(names)))
    _keep_alive.append(tracker)
    _loaded.update((name, int(tracker[name])) for name in names)


def _read(path: Path) -> bytes | None:
    """Return the stored object, or None if there is none, it is damaged, or others could have written it."""
    try:
        with path.open("rb") as file:
            if not (_is_private(os.fstat(file.fileno())) and _is_private(path.parent.stat())):
                return None
            stored = file.read()
    except OSError:
        return None
    code = stored[len(_MAGIC) + 32 :]
    return code if stored == _packed(code) else None


def _packed(code: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(code).digest() + code


def _is_private(status: os.stat_result) -> bool:
    """Return whether a file or folder is ours and no other user may write to it: its code will be run."""
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _write(path: Path, code: bytes) -> None:
    """Store an object under another name and rename it; a read-only or full folder is not an error."""
    other = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(path.parent.stat()):
            return
        other.write_bytes(_packed(code))
        other.replace(path)
        for old in sorted(path.parent.glob("*.o"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
            old.unlink()
    except OSError:
        with contextlib.suppress(OSError):
            other.unlink(missing_ok=True)


def function_at(address: int) -> Function:
    """Return a callable for the native function at `address`; a call releases the GIL."""
    return _PROTOTYPE(address)
