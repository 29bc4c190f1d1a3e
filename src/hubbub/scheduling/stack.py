"""What a thread is doing, read from its frames: whose function it is, and where in it.

Of a stack that ends somewhere in a driver's driver, whoever reads a log wants the last function of the application's
own, and what it had called. Names, files and lines are all that is taken: a frame's variables are never looked at.
"""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from types import CodeType, FrameType
from typing import NamedTuple, TypeAlias

# What runs the application, and is never what it was waiting for.
_MACHINERY = frozenset(
    {"anyio", "asyncio", "concurrent", "contextlib", "fastapi", "functools", "gunicorn", "hubbub", "hypercorn"}
    | {"starlette", "threading", "uvicorn", "uvicorn_worker", "uvloop"}
)
_DEBUGGERS = frozenset({"IPython", "_pydevd_bundle", "bdb", "debugpy", "ipdb", "pdb", "pudb", "pydevd"})
_INSTALLED = ("site-packages", "dist-packages")
# An application of ours, though it lies among the hub's modules.
_OURS = "hubbub.showcase"


class Level(NamedTuple):
    """One function that is being called. `module`: the name that its file was imported by."""

    code: CodeType
    module: str
    line: int

    @property
    def name(self) -> str:
        """Module and qualified name."""
        return f"{self.module}.{self.code.co_qualname}"

    @property
    def file(self) -> str:
        """As short as it can be said: from where the process was started, or from where packages are installed."""
        path = self.code.co_filename
        for folder in _INSTALLED:
            _, found, rest = path.rpartition(f"{os.sep}{folder}{os.sep}")
            if found:
                return rest
        here = os.getcwd() + os.sep  # noqa: PTH109 - a string, and no file is looked at
        return path.removeprefix(here)


#: The outermost function first.
Stack: TypeAlias = Sequence[Level]


class Place(NamedTuple):
    """Where a thread stood. `file`: empty where there is none. `within`: what was called there, where that is not the
    application's; else None."""

    function: str
    file: str
    line: int
    within: str | None = None

    def __str__(self) -> str:
        within = "" if self.within is None else f", in {self.within}"
        where = f" ({self.file}:{self.line})" if self.file else ""
        return f"{self.function}{where}{within}"


def depth_of(frame: FrameType | None) -> tuple[int, CodeType | None]:
    """How many functions are called there, this one among them, and the code of the outermost."""
    depth, root = 0, None
    while frame is not None:
        depth, root, frame = depth + 1, frame.f_code, frame.f_back
    return depth, root


def read(frame: FrameType | None, *, depth: int = 0, root: CodeType | None = None) -> list[Level]:
    """The stack whose innermost function this is, without the outermost `depth`, which run the event loop.

    `root`: the code that those begin with. A stack that begins with another is not on top of them, as that of a
    greenlet is not: it is read whole.
    """
    found: list[Level] = []
    while frame is not None:
        line = frame.f_lineno or frame.f_code.co_firstlineno
        found.append(Level(frame.f_code, str(frame.f_globals.get("__name__", "?")), line))
        frame = frame.f_back
    found.reverse()
    return found[depth:] if found and (root is None or found[0].code is root) else found


def common(one: Stack, other: Stack) -> Stack:
    """How far both are in the same functions, with the lines of the second."""
    same = 0
    for first, second in zip(one, other, strict=False):
        if first.code is not second.code:
            break
        same += 1
    return other[:same]


def is_debugged(stack: Stack) -> bool:
    """Whether somebody looks at it, and holds it for that."""
    return any(_package(level) in _DEBUGGERS for level in stack)


def place_of(stack: Stack, own: Collection[str] = ()) -> Place:
    """The application's innermost function, and what it had called; some other one where none is its own.

    `stack` is not empty. `own`: packages that are the application's, wherever they are installed.
    """
    at = _last(stack, lambda level: _is_own(level, own))
    if at is None:
        at = _last(stack, lambda level: _package(level) not in _MACHINERY)
        at = len(stack) - 1 if at is None else at
    level, called = stack[at], stack[at + 1 :]
    names = list(dict.fromkeys((called[0].name, called[-1].name))) if called else []
    return Place(level.name, level.file, level.line, " at ".join(names) or None)


def shown(stack: Stack, *, most: int = 16) -> list[str]:
    """The innermost of them, each as file, line and function."""
    return [f"{level.file}:{level.line} {level.name}" for level in stack[-most:]]


def packages_of(modules: Iterable[str]) -> frozenset[str]:
    """Those the modules are in. Scripts, and what runs applications, are in none."""
    found = {module.partition(".")[0] for module in modules}
    return frozenset(found - _MACHINERY - {"__main__"} - sys.stdlib_module_names)


def _is_own(level: Level, own: Collection[str]) -> bool:
    package, path = _package(level), level.code.co_filename
    if package in own or level.module.startswith(_OURS):
        return True
    if package in _MACHINERY or package in sys.stdlib_module_names or path.startswith("<frozen"):
        return False
    return path != "<string>" and not any(f"{os.sep}{folder}{os.sep}" in path for folder in _INSTALLED)


def _package(level: Level) -> str:
    return level.module.partition(".")[0]


def _last(stack: Stack, is_it: Callable[[Level], bool]) -> int | None:
    return next((at for at in range(len(stack) - 1, -1, -1) if is_it(stack[at])), None)
