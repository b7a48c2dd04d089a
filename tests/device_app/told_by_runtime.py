"""What runtime's source can put into warnings and notes: its literals, followed to where they are put in.

Followed are names within a function and a module, imported ones too, functions, `self`'s methods and what an
exception says that is caught; conditions are not, for they say nothing. Of a literal its fixed parts count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

SINKS = frozenset({"warnings", "notes"})
_OF_FAULTS = frozenset({"what", "advice"})
_Function = ast.FunctionDef


@dataclass
class _Module:
    name: str
    tree: ast.Module
    functions: dict[str, list[_Function]] = field(default_factory=dict)
    imported: dict[str, _Module] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def holder_of(self, name: str) -> _Module:
        """The module in which a name that is used here is made."""
        return self.imported.get(name, self)


def literals(root: Path) -> dict[str, set[str]]:
    """By module, like "readers/raster.py": every fixed text that flows into warnings or notes there."""
    paths = sorted(root.rglob("*.py"))
    modules = [_module(path, root) for path in paths]
    for module in modules:
        _link(module, {one.name: one for one in modules})
    sinks = _sinks(modules)
    found = {module.name: set(_of_module(module, sinks)) for module in modules}
    return {name: texts for name, texts in found.items() if texts}


def _module(path: Path, root: Path) -> _Module:
    module = _Module(str(path.relative_to(root)), ast.parse(path.read_text()))
    for node in ast.walk(module.tree):
        if isinstance(node, _Function):
            module.functions.setdefault(node.name, []).append(node)
    return module


def _link(module: _Module, others: dict[str, _Module]) -> None:
    """Imports like "from runtime.readers.dicom_facts import notices", by the end of the module's name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            path = "/".join(node.module.split(".")[1:]) + ".py"
            if path in others:
                module.imported |= {one.asname or one.name: others[path] for one in node.names}


def _sinks(modules: Iterable[_Module]) -> dict[str, dict[int, str]]:
    """Of every class and function: which positions are warnings, notes, or the words of a fault."""
    found: dict[str, dict[int, str]] = {}
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                names = [one.target.id for one in node.body if isinstance(one, ast.AnnAssign)]  # type: ignore[union-attr]
            elif isinstance(node, _Function):
                names = [one.arg for one in node.args.args if one.arg != "self"]
            else:
                continue
            wanted = SINKS | (_OF_FAULTS if node.name == "Fault" else frozenset())
            found.setdefault(node.name, {}).update({at: n for at, n in enumerate(names) if n in wanted})
    return {name: places for name, places in found.items() if places}


def _of_module(module: _Module, sinks: dict[str, dict[int, str]]) -> Iterator[str]:
    for scope, node in _scoped(module.tree, module.tree):
        if not isinstance(node, ast.Call):
            continue
        places = sinks.get(_name_of(node.func), {})
        wanted = SINKS | frozenset(places.values())
        given = [one.value for one in node.keywords if one.arg in wanted]
        given += [one for at, one in enumerate(node.args) if at in places]
        for one in given:
            yield from _texts(one, scope, module)


def _scoped(node: ast.AST, scope: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        yield scope, child
        yield from _scoped(child, child if isinstance(child, _Function) else scope)


def _name_of(func: ast.expr) -> str:
    return func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""


def _texts(node: ast.expr, scope: ast.AST, module: _Module) -> Iterator[str]:
    """The literals of an expression; each part of the source is looked at once."""
    if id(node) in module.seen:
        return
    module.seen.add(id(node))
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.Name):
        for value, where in _values(node.id, scope, module):
            yield from _texts(value, where, module)
        if (holder := module.holder_of(node.id)) is not module:
            for value, where in _values(node.id, holder.tree, holder):
                yield from _texts(value, where, holder)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, scope, module)
    else:
        for child in _parts(node):
            yield from _texts(child, scope, module)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Those whose value can be a part of it: no conditions, no keys, nothing of an object but its name."""
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Dict):
        yield from node.values
    elif isinstance(node, ast.Subscript | ast.FormattedValue | ast.Starred):
        yield node.value
    elif isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
        yield node.elt
        yield from (one.iter for one in node.generators)
    elif isinstance(node, ast.JoinedStr | ast.BinOp | ast.BoolOp | ast.Tuple | ast.List | ast.Set):
        yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def _of_call(node: ast.Call, scope: ast.AST, module: _Module) -> Iterator[str]:
    """Arguments, the text that a method of text is of, and what functions of the module give back."""
    name = _name_of(node.func)
    if name[:1].isupper() or name == "replace":
        return  # an object; its own warnings are looked at by themselves
    own = isinstance(node.func, ast.Name)
    if isinstance(node.func, ast.Attribute):
        own = isinstance(node.func.value, ast.Name) and node.func.value.id == "self"
        yield from _texts(node.func.value, scope, module)
    for one in node.args:
        yield from _texts(one, scope, module)
    holder = module.holder_of(name)
    for function in holder.functions.get(name, []) if own else []:
        for value in _given_back(function):
            yield from _texts(value, function, holder)


def _given_back(function: _Function) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value is not None:
            yield node.value


def _values(name: str, scope: ast.AST, module: _Module) -> Iterator[tuple[ast.expr, ast.AST]]:
    """What a name stands for here or in the module, and what was added to it."""
    for where in dict.fromkeys((scope, module.tree)):
        body = ast.walk(where) if where is scope and where is not module.tree else module.tree.body
        for node in body:
            for value in _put_into(name, node):
                yield value, where
            if isinstance(node, ast.Try) and any(one.name == name for one in node.handlers):
                yield from _raised(node, module)


def _put_into(name: str, node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For | ast.comprehension):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
        value = node.iter if isinstance(node, ast.For | ast.comprehension) else node.value
        if name in names and value is not None:
            yield value
    elif _adds_to(name, node):
        yield from node.args


def _adds_to(name: str, node: ast.AST) -> TypeGuard[ast.Call]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    return node.func.attr in ("append", "extend", "insert") and _name_of(node.func.value) == name


def _raised(node: ast.Try, module: _Module) -> Iterator[tuple[ast.expr, ast.AST]]:
    """What is said by errors of functions that are called there, and of those that these call."""
    left, known = [call for one in node.body for call in _called(one)], set[str]()
    while left:
        name = left.pop()
        for function in module.functions.get(name, []) if name not in known else []:
            left += _called(function)
            for one in ast.walk(function):
                if isinstance(one, ast.Raise) and isinstance(one.exc, ast.Call):
                    yield from ((value, function) for value in one.exc.args)
        known.add(name)


def _called(node: ast.AST) -> list[str]:
    return [_name_of(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)]
