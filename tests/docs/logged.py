"""What the code logs, read from it: each call of a logger of ours, with its event, its level and its fields."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parents[2] / "src" / "hubbub"

_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
#: The logger of all limited logs, which hands on what it is given; and the audit, which has fields of its own.
_OTHERWISE = {"scheduling/limited_log.py", "connection/audit.py"}


class Logged(NamedTuple):
    """`event` is None where a call says none. `levels`: as far as they stand in the call."""

    where: str
    logger: str
    event: str | None
    levels: frozenset[str]
    fields: frozenset[str]


@cache
def calls() -> tuple[Logged, ...]:
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if "static" not in path.parts]
    return tuple(call for path in paths for call in _calls_in(path))


def _calls_in(path: Path) -> Iterator[Logged]:
    source = path.read_text()
    if "getLogger" not in source and ".tell(" not in source and "logging." not in source:
        return
    tree = ast.parse(source)
    name = str(path.relative_to(SOURCE))
    logger = next((_text(call.args[0]) for call in _all(tree) if _called(call) == "getLogger" and call.args), "")
    for call in _all(tree):
        method, of = _called(call), ""
        if isinstance(call.func, ast.Attribute) and (method in _LEVELS or method == "tell"):
            of = ast.unparse(call.func.value).lower()
        direct = method in _LEVELS and of.rpartition(".")[2] in {"_log", "log", "logger"}
        limited = method == "tell" and any(part in of for part in ("told", "_log", "_records"))
        extra = _keyword(call, "extra")
        if isinstance(extra, ast.Name):
            extra = _assigned(tree, extra.id, call.lineno)
        named = isinstance(extra, ast.Call) and ast.unparse(extra.func) == "fields"
        if not (direct or limited) or (name in _OTHERWISE and not named):
            continue
        event, fields = None, frozenset[str]()
        if named and isinstance(extra, ast.Call):
            event = ast.unparse(extra.args[0]).removeprefix("Event.")
            fields = frozenset(each.arg for each in extra.keywords if each.arg)
        said = _keyword(call, "level") if limited else call.args[0] if method == "log" else None
        levels = {"ERROR" if method == "exception" else method.upper()}
        if limited or said is not None:
            levels = {part for part in ("DEBUG", "INFO", "WARNING", "ERROR") if said and part in ast.unparse(said)}
            levels = levels or ({"INFO"} if said is None else {"INFO", "WARNING"})
        yield Logged(f"{name}:{call.lineno}", logger, event, frozenset(levels), fields)


def _assigned(tree: ast.AST, name: str, before: int) -> ast.expr | None:
    """What was given that name last."""
    found: list[tuple[int, ast.expr]] = []
    for each in ast.walk(tree):
        if isinstance(each, ast.Assign) and each.lineno <= before:
            target, value = each.targets[0], each.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                found += [(each.lineno, v) for t, v in zip(target.elts, value.elts, strict=True) if _is(t, name)]
            elif _is(target, name):
                found.append((each.lineno, value))
    return max(found, key=lambda each: each[0])[1] if found else None


def _is(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _all(tree: ast.AST) -> list[ast.Call]:
    return [each for each in ast.walk(tree) if isinstance(each, ast.Call)]


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def _text(value: ast.expr) -> str:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
