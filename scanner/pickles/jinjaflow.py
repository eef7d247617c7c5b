"""Tells which expressions of a Jinja2 template can be texts that the template itself puts together. It knows no rule about them.

Coarse on purpose: scopes are ignored, so a name counts as put together if anything of that name, anywhere, is.
"""

from __future__ import annotations

from collections import defaultdict

from jinja2 import nodes


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COUNTERS = _words("index index0 revindex revindex0 length depth depth0 first last")
"""Of `loop`: numbers and flags."""

NUMERIC_FILTERS = _words("length count int abs round float wordcount")
SAME_TEXT_FILTERS = _words(
    "trim lower upper capitalize title first last list default d items dictsort sort unique reverse select reject selectattr rejectattr "
    "min max slice batch groupby"
)
"""Filters whose result is made of what they are given, in pieces no longer than those were."""

NUMERIC_METHODS = _words("find count index isdigit isspace isalpha startswith endswith")
SAME_TEXT_METHODS = _words(
    "get items keys values strip lstrip rstrip split rsplit upper lower title capitalize partition rpartition splitlines removeprefix "
    "removesuffix pop"
)
FILLING_METHODS = _words("append extend insert update setdefault")


ROUNDS = 50


class Flow:
    """What flows into each name of a template: `plain(expression)` is False where it may be a text put together from pieces.

    Attributes stand among the names with a dot in front: what is stored under `.x` of anything can come out as `.x` of anything.
    """

    def __init__(self, tree: nodes.Template) -> None:
        self._sources: dict[str, list[nodes.Node | None]] = defaultdict(list)
        self._stores: list[tuple[set[str], list[nodes.Node]]] = []
        self._macros = {node.name: node for node in tree.find_all(nodes.Macro)}
        self._names: set[str] = set()
        self._doubtful: set[str] = set()
        self._asked: set[str] = set()
        self._namespaces: set[str] = set()
        for node in tree.find_all((nodes.Assign, nodes.AssignBlock, nodes.For, nodes.Macro, nodes.CallBlock, nodes.With, nodes.Call)):
            getattr(self, f"_from_{type(node).__name__.lower()}")(node)
        self._namespaces = {name for name in self._names if all(map(_is_namespace, self._sources[name]))}
        self._kin = self._relatives()
        self._settle()

    def assigned(self) -> set[str]:
        """Every name that the template gives a value (macros by their own statement aside)."""
        return self._names

    def numbers(self, name: str) -> bool:
        """Whether only numbers flow into a name (`.x` for the attribute x)."""
        if name in self._asked:
            return False
        self._asked.add(name)
        found = all(source is not None and self.numeric(source) for source in self._sources.get(name, ()))
        self._asked.discard(name)
        return found

    # --- what flows where ------------------------------------------------------------------------------------------

    def _bind(self, target: nodes.Node, source: nodes.Node | None) -> None:
        """`source` None is a text put together."""
        if isinstance(target, nodes.NSRef):
            self._sources[f".{target.attr}"].append(source)
            self._stores.append(({target.name}, [source or nodes.Concat([])]))
        elif isinstance(target, nodes.Name):
            self._names.add(target.name)
            self._sources[target.name].append(source)
        elif isinstance(target, nodes.Tuple | nodes.List):
            for item in target.items:
                self._bind(item, source)

    def _from_assign(self, node: nodes.Assign) -> None:
        self._bind(node.target, node.node)

    def _from_assignblock(self, node: nodes.AssignBlock) -> None:
        self._bind(node.target, None)

    def _from_for(self, node: nodes.For) -> None:
        self._bind(node.target, node.iter)
        self._sources["loop"].append(node.iter)

    def _from_with(self, node: nodes.With) -> None:
        for target, value in zip(node.targets, node.values, strict=True):
            self._bind(target, value)

    def _from_macro(self, node: nodes.Macro | nodes.CallBlock) -> None:
        for argument in node.args:
            for default in node.defaults:
                self._bind(argument, default)
            self._names.add(argument.name)

    def _from_callblock(self, node: nodes.CallBlock) -> None:
        self._from_macro(node)
        for argument in node.args:
            self._bind(argument, None)

    def _from_call(self, node: nodes.Call) -> None:
        """Arguments flow into a macro's parameters, into attributes of a namespace, and into lists that they are appended to."""
        values = _arguments(node)
        callee = node.node
        if isinstance(callee, nodes.Name) and callee.name in self._macros:
            for name in (*(argument.name for argument in self._macros[callee.name].args), "varargs", "kwargs"):
                self._sources[name] += values
        for keyword in node.kwargs:
            self._sources[f".{keyword.key}"].append(keyword.value)
        if isinstance(callee, nodes.Getattr) and callee.attr in FILLING_METHODS:
            self._stores.append((self._mentioned(callee.node), list(values)))

    # --- who may be the same object under another name --------------------------------------------------------------

    def _mentioned(self, node: nodes.Node | None) -> set[str]:
        """Names and attributes in an expression whose value may be, or hold, the very object that they are."""
        found: set[str] = set()
        todo = [node] if node is not None else []
        while todo:
            part = todo.pop()
            if self.numeric(part) or _is_text(part):
                continue
            if isinstance(part, nodes.Name):
                found.add(part.name)
            elif isinstance(part, nodes.Getattr):
                found.add(f".{part.attr}")
            if isinstance(part, nodes.Call) and isinstance(part.node, nodes.Getattr) and part.node.attr in FILLING_METHODS - {"setdefault"}:
                continue  # these return nothing
            if not isinstance(part, nodes.Compare | nodes.Not | nodes.Test):
                todo.extend(part.iter_child_nodes())
        return found

    def _relatives(self) -> dict[str, set[str]]:
        """name -> every name that is bound from it or to it, over any number of steps (groups are shared sets)."""
        groups: dict[str, set[str]] = {}
        pairs = [({name}, self._mentioned(source)) for name, sources in self._sources.items() for source in sources]
        pairs += [(base, self._mentioned(value)) for base, values in self._stores for value in values]
        for left, right in pairs:
            found = {member for name in left | right for member in groups.get(name, {name})}
            groups.update(dict.fromkeys(found, found))
        return groups

    def _settle(self) -> None:
        """Find every name that a text put together can flow into; a template that needs many rounds for it is not trusted at all."""
        for _ in range(ROUNDS):
            found = {name for name, sources in self._sources.items() if name not in self._doubtful and not all(map(self.plain, sources))}
            for base, values in self._stores:
                if not all(map(self.plain, values)):
                    found |= {member for name in base for member in self._kin.get(name, {name})} - self._doubtful
            if not found:
                return
            self._doubtful |= found
        self._doubtful.update(self._sources)

    # --- what an expression can be ---------------------------------------------------------------------------------

    def plain(self, node: nodes.Node | None) -> bool:
        """Whether the value is a number, a constant, data that the program gave, or a part of these: never a text put together."""
        if node is None:
            return False
        if isinstance(node, nodes.Const | nodes.Compare | nodes.Not | nodes.Test) or self.numeric(node):
            return True
        if isinstance(node, nodes.Name):
            return self._plain_name(node.name)
        if isinstance(node, nodes.Getattr):
            return self.plain(node.node) and self._plain_name(f".{node.attr}")
        if isinstance(node, nodes.Getitem):
            if isinstance(node.arg, nodes.Slice) and not _steps_by_one(node.arg.step):
                return False
            key = node.arg.value if isinstance(node.arg, nodes.Const) else None
            return self.plain(node.node) and (not isinstance(key, str) or self._plain_name(f".{key}"))
        if isinstance(node, nodes.List | nodes.Tuple):
            return all(self.plain(item) for item in node.items)
        if isinstance(node, nodes.Dict):
            return all(self.plain(pair.key) and self.plain(pair.value) for pair in node.items)
        if isinstance(node, nodes.CondExpr):
            return self.plain(node.expr1) and (node.expr2 is None or self.plain(node.expr2))
        if isinstance(node, nodes.And | nodes.Or):
            return self.plain(node.left) and self.plain(node.right)
        if isinstance(node, nodes.Filter):
            return self._plain_filter(node)
        return isinstance(node, nodes.Call) and self._plain_call(node)

    def _plain_filter(self, node: nodes.Filter) -> bool:
        kept = SAME_TEXT_FILTERS
        if node.name == "map":
            first = node.args[0] if node.args else None
            kept = kept | {"map"} if first is None or getattr(first, "value", None) in SAME_TEXT_FILTERS | NUMERIC_FILTERS else kept
        return node.name in kept and self.plain(node.node) and all(map(self.plain, _arguments(node)))

    def _plain_call(self, node: nodes.Call) -> bool:
        callee = node.node
        if isinstance(callee, nodes.Name):
            return callee.name in ("range", "namespace", "dict") and all(map(self.plain, _arguments(node)))
        if not isinstance(callee, nodes.Getattr) or callee.attr not in SAME_TEXT_METHODS:
            return False
        return self.plain(callee.node) and all(map(self.plain, _arguments(node)))

    def _plain_name(self, name: str) -> bool:
        return name not in self._doubtful

    def numeric(self, node: nodes.Node) -> bool:
        """Whether the value can only be a number (or the expression fails)."""
        if isinstance(node, nodes.Const):
            return isinstance(node.value, int | float)
        if isinstance(node, nodes.Sub | nodes.Div | nodes.FloorDiv | nodes.Pow | nodes.Neg | nodes.Pos):
            return True
        if isinstance(node, nodes.Add):
            return self.numeric(node.left) or self.numeric(node.right)
        if isinstance(node, nodes.Mul):
            return self.numeric(node.left) and self.numeric(node.right)
        if isinstance(node, nodes.Mod):
            return self.numeric(node.left)
        if isinstance(node, nodes.Getattr):
            base = node.node.name if isinstance(node.node, nodes.Name) else ""
            if base == "loop":
                return "loop" not in self._names and node.attr in COUNTERS
            return base in self._namespaces and f".{node.attr}" in self._sources and self.numbers(f".{node.attr}")
        if isinstance(node, nodes.Filter):
            return node.name in NUMERIC_FILTERS and all(map(self.numeric, _arguments(node)))  # `int` gives its argument back on failure
        return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr in NUMERIC_METHODS


def _steps_by_one(step: nodes.Node | None) -> bool:
    """Whether a slice takes neighbours: leaving out letters makes new words."""
    if isinstance(step, nodes.Neg):
        step = step.node
    return step is None or (isinstance(step, nodes.Const) and step.value == 1)


def _arguments(node: nodes.Call | nodes.Filter) -> list[nodes.Node]:
    return [*node.args, *(keyword.value for keyword in node.kwargs)]


def _is_namespace(source: nodes.Node | None) -> bool:
    return isinstance(source, nodes.Call) and isinstance(source.node, nodes.Name) and source.node.name == "namespace"


def _is_text(node: nodes.Node) -> bool:
    """Whether an expression puts a text together, which is a new object that holds no other."""
    while isinstance(node, nodes.Add):
        if _is_text(node.right):
            return True
        node = node.left
    return isinstance(node, nodes.Concat) or (isinstance(node, nodes.Const) and isinstance(node.value, str))
