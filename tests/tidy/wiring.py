"""What the product defines, reads, writes and calls, by type: the facts behind test_wiring.py.

    python tests/tidy/wiring.py ROOT > facts.json

mypy reads `router/` once more and tells the type of every expression, so `report.sequence` and
`yaml.sequence(...)` are two things. Run as a process of its own: it takes ten seconds and a
gigabyte, and both are given back.
"""

import ast
import json
import os
import sys
from pathlib import Path

from mypy import build
from mypy.main import process_options
from mypy.nodes import (
    Argument,
    Block,
    Decorator,
    Expression,
    FuncDef,
    FuncItem,
    MypyFile,
    OverloadedFuncDef,
    Statement,
    TypeInfo,
    Var,
)
from mypy.types import (
    CallableType,
    Instance,
    Overloaded,
    TupleType,
    TypeType,
    TypeVarType,
    UnionType,
    get_proper_type,
)

PACKAGE = "router"
READERS = "prediction_services/demo/report"
"""What is drawn with the kit of `router.drawing` besides: its use counts, its names do not."""
BY_RULE = "ByRule"
"""`ByRule(Entry, Policy)` reads all of the policy and writes all of the entry; it fails at import
where a field of either is not in its rule."""
COPYING = {"replace"}
"""`replace(old, field=new)` writes the fields that it names."""
WHOLE = {"asdict", "astuple", "to_builtins"}
"""Calls that read every field of what they are given, for people or for a file."""


def owners(kind):
    """Full names of the classes that a value of this type may be of; "" where nobody knows."""
    kind = get_proper_type(kind)
    if isinstance(kind, Instance):
        return [kind.type.fullname]
    if isinstance(kind, UnionType):
        return [name for item in kind.items for name in owners(item)]
    if isinstance(kind, TupleType):
        return owners(kind.partial_fallback)
    if isinstance(kind, TypeVarType):
        return owners(kind.upper_bound)
    if isinstance(kind, TypeType):
        return owners(kind.item)
    if isinstance(kind, CallableType | Overloaded):
        return owners(kind.items[0].ret_type) if kind.is_type_obj() else ["builtins.function"]
    return [""]


def is_class(kind):
    """Whether calling a value of this type makes an object of a class of ours."""
    kind = get_proper_type(kind)
    return isinstance(kind, CallableType | Overloaded | TypeType) and (
        isinstance(kind, TypeType) or kind.is_type_obj()
    )


def places(info):
    """The names of what a class is made of, in the order of its positions."""
    made = info.get("__init__")
    kind = get_proper_type(made.type) if made else None
    return list(kind.arg_names[1:]) if isinstance(kind, CallableType) else []


def expressions(tree):
    """Every expression of a module. mypy's own visitors are compiled and cannot be extended."""
    seen, waiting = set(), [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list | tuple):
            waiting.extend(node)
        elif isinstance(node, PARTS) and id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, Expression):
                yield node
            waiting.extend(
                getattr(node, name, None)
                for name in type(node).__mypyc_attrs__
                if name not in ELSEWHERE
            )


PARTS = (Argument, Block, Decorator, Expression, FuncItem, MypyFile, OverloadedFuncDef, Statement)
ELSEWHERE = {"info", "node", "definition", "names", "analyzed", "method_type", "expanded"}
"""Attributes of mypy's nodes that lead out of the tree."""


class Reader(ast.NodeVisitor):
    """Walks one module; ``types`` are mypy's, by place."""

    def __init__(self, module, path, types, facts):
        self.module, self.types, self.facts = module, types, facts
        self.package = path.name == "__init__.py"
        self.within = []
        self.copied = []
        self.names = {}
        """What a global name of this module stands for."""
        self.modules = set()

    def type_at(self, node):
        return self.types.get((node.lineno, node.col_offset, node.end_lineno, node.end_col_offset))

    def owners_at(self, node):
        kind = self.type_at(node)
        return [""] if kind is None else owners(kind)

    def use(self, what, owner, name):
        where = self.facts[what].setdefault(f"{owner}:{name}", [])
        by = ".".join([self.module, *self.within])
        if by not in where:
            where.append(by)

    # --- definitions ----------------------------------------------------------------------------

    def visit_ClassDef(self, node):
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self.within.append(node.name)
        for part in node.body:
            self.visit(part)
        self.within.pop()

    def visit_FunctionDef(self, node):
        if not self.within:
            self.facts["functions"][f"{self.module}.{node.name}"] = node.lineno
        for part in (*node.decorator_list, node.args):
            self.visit(part)
        if node.returns:
            self.visit(node.returns)
        self.within.append(node.name)
        for part in node.body:
            self.visit(part)
        self.within.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast names it

    def visit_Import(self, node):
        self.modules |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node):
        for alias in node.names:
            self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            self.facts["imports"][f"{self.module}.{alias.asname or alias.name}"] = (
                f"{node.module}.{alias.name}"
            )

    # --- uses -----------------------------------------------------------------------------------

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            name = self.names.get(node.id, f"{self.module}.{node.id}")
            self.use("names", "", name)

    def visit_Constant(self, node):
        # Annotations are texts where they look ahead; `module:Type` is imported when it is wanted.
        if isinstance(node.value, str) and node.value.isidentifier():
            self.use("texts", "", node.value)
        elif isinstance(node.value, str) and node.value.startswith("router."):
            self.use("names", "", node.value.replace(":", "."))

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name):
            self.use("names", "", f"{self.names.get(node.value.id, node.value.id)}.{node.attr}")
        known = self.owners_at(node.value)
        if known == [""] and isinstance(node.value, ast.Name) and node.value.id in self.modules:
            known = []
        for owner in known:
            if not isinstance(node.ctx, ast.Load):
                self.use("writes", owner, node.attr)
            elif (owner, node.attr) not in self.copied:
                self.use("reads", owner, node.attr)
        self.visit(node.value)

    def visit_Raise(self, node):
        for owner in self.owners_at(node.exc) if isinstance(node.exc, ast.Name) else ():
            self.use("made", owner, "")
        self.generic_visit(node)

    def visit_Call(self, node):
        self.visit(node.func)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        kind = self.type_at(node.func)
        made = owners(kind) if kind is not None and is_class(kind) else []
        dynamic = name == "getattr" and not isinstance(node.args[1], ast.Constant)
        if (name in WHOLE or dynamic) and node.args:
            for owner in self.owners_at(node.args[0]):
                self.use("reads", owner, "*")
        if name == BY_RULE and len(node.args) == 2:
            for what, part in zip(("writes", "reads"), node.args, strict=True):
                for owner in self.owners_at(part):
                    self.use(what, owner, "*")
        if name in COPYING and node.args:
            made = self.owners_at(node.args[0])
        made = [owner for owner in made if owner.startswith(PACKAGE)]
        for owner in made:
            self.use("made", owner, "")
        order = [] if name in COPYING or not made else self.facts["places"].get(made[0], [])
        pairs = [(order[n] if n < len(order) else None, part) for n, part in enumerate(node.args)]
        pairs += [(part.arg, part.value) for part in node.keywords]
        for field, part in pairs:
            for owner in made:
                unknown = isinstance(part, ast.Starred) or (field is None and part not in node.args)
                self.use("writes", owner, "*" if unknown else field)
            # `Pairs(agreed=a.agreed + b.agreed)` hands on; that is not what the field is for.
            before, self.copied = self.copied, [*self.copied, *((owner, field) for owner in made)]
            self.visit(part)
            self.copied = before


def described(info):
    """A class as facts."""
    entries = {name: entry.node for name, entry in info.names.items()}
    return {
        "mro": [base.fullname for base in info.mro],
        "fields": [n for n, e in entries.items() if isinstance(e, Var)],
        "methods": [
            name for name, entry in info.names.items()
            if isinstance(entry.node, FuncDef | Decorator | OverloadedFuncDef)
            and not entry.plugin_generated
        ],
        "line": info.line, "protocol": info.is_protocol,
        "tuple": info.tuple_type is not None, "private": info.name.startswith("_"),
        "data": "dataclass" in info.metadata,
    }  # fmt: skip


def classes(names):
    for entry in names.values():
        if isinstance(entry.node, TypeInfo) and entry.node.fullname.startswith(PACKAGE):
            yield entry.node
            yield from classes(entry.node.names)


def facts_of(root):
    """Everything, as one JSON object."""
    os.chdir(root)
    sources, options = process_options(
        ["--no-incremental", "--cache-dir=/dev/null", PACKAGE, READERS]
    )
    options.export_types = options.preserve_asts = True
    result = build.build(sources, options)
    facts = {
        name: {}
        for name in (
            "classes",
            "functions",
            "reads",
            "writes",
            "names",
            "texts",
            "places",
            "imports",
            "made",
        )
    }
    trees = {n: t for n, t in result.files.items() if n.split(".")[0] == PACKAGE}
    for name, tree in trees.items():
        for info in classes(tree.names):
            if info.is_intersection:  # of two types, supposed by mypy itself
                continue
            if info.module_name == name and "@" not in info.fullname:  # none within functions
                facts["classes"][info.fullname] = described(info) | {"module": name}
                facts["places"][info.fullname] = places(info)
    trees |= {n: t for n, t in result.files.items() if n.startswith(READERS.replace("/", "."))}
    for name, tree in sorted(trees.items()):
        by_place = {
            (one.line, one.column, one.end_line, one.end_column): result.types[one]
            for one in expressions(tree)
            if one in result.types
        }
        path = Path(tree.path)
        Reader(name, path, by_place, facts).visit(ast.parse(path.read_text()))
    for name in [name for name in facts["functions"] if name.startswith("prediction_services.")]:
        del facts["functions"][name]
    return facts


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts_of(Path(sys.argv[1]))))
    sys.stdout.flush()
    os._exit(0)  # a gigabyte of small objects takes as long to be freed as it took to be made
