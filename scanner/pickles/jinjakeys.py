"""Tells which keys of a Jinja2 template are no way to choose an attribute: numbers, and what the program's own data holds.

Default is no. `x[key]` reaches attributes of `x` too, so a key that a template could put together is never harmless; what is left
are numbers, texts that stand in a list of constants, and parts of the chat itself, as long as the template never changes the chat.
"""

from __future__ import annotations

from collections import defaultdict

from jinja2 import nodes


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CHAT = _words("messages tools documents custom_tools builtin_tools available_tools functions xml_tools python_tools tool_choice")
"""What a program hands in with the conversation. Not bos_token and its kin: those stand in the file that brought the template."""
COUNTERS = _words("index index0 revindex revindex0 length depth depth0 first last")
"""Of `loop`: numbers and flags."""
PART_FILTERS = _words("items list first last reverse sort unique trim lower upper dictsort")
PART_METHODS = _words("items keys values")
FILLING_METHODS = _words("append extend insert update setdefault pop")
MAX_BINDINGS = 5_000
"""Values given to names; the longest templates in the field have a few hundred."""
ROUNDS = 50

Source = nodes.Node | None


class Keys:
    """What is known of the names of one template; scopes are ignored, so a name is what any place makes of it."""

    def __init__(self, tree: nodes.Template) -> None:
        self._bound: dict[str, list[tuple[str, Source]]] = defaultdict(list)
        self._attributes: dict[str, list[Source]] = defaultdict(list)
        self._macros: dict[str, list[nodes.Macro]] = defaultdict(list)
        for macro in tree.find_all(nodes.Macro):
            self._macros[macro.name].append(macro)
        self._count = 0
        kinds = (nodes.Assign, nodes.AssignBlock, nodes.For, nodes.With, nodes.Macro, nodes.CallBlock, nodes.Call)
        for node in tree.find_all(kinds):
            getattr(self, f"_from_{type(node).__name__.lower()}")(node)
        # The largest sets that agree with themselves: all is believed at first, and what does not hold falls out.
        self._numbers = set(self._bound) | {f".{attribute}" for attribute in self._attributes}
        self._chat = set(self._bound)
        self._trusted = True
        self._trusted = self._settle() and all(self._fills_its_own(call) for call in tree.find_all(nodes.Call))

    def assigned(self) -> set[str]:
        """Every name that the template gives a value (macros by their own statement aside)."""
        return set(self._bound)

    def numbers(self, attribute: str) -> bool:
        """Whether only numbers are ever stored under an attribute of a namespace."""
        return f".{attribute}" in self._numbers or attribute not in self._attributes

    def harmless(self, key: nodes.Node) -> bool:
        """Whether a key can name no attribute of the file's choosing."""
        return self.numeric(key) or self._listed(key) or self.from_chat(key)

    def from_chat(self, node: Source) -> bool:
        """Whether a value is a part of what the program handed in, in a template that never changes it."""
        return self._trusted and self._data(node)

    def _settle(self) -> bool:
        """Let fall what does not hold; False where the template is too long or too entangled for that (then nothing holds)."""
        for _ in range(ROUNDS if self._count <= MAX_BINDINGS else 0):
            wrong = {name for name in self._numbers if not self._holds_numbers(name)}
            other = {name for name in self._chat if not all(self._data(source) for _, source in self._bound[name])}
            if not wrong and not other:
                return True
            self._numbers -= wrong
            self._chat -= other
        self._numbers.clear()
        self._chat.clear()
        return False

    def _holds_numbers(self, name: str) -> bool:
        if name.startswith("."):
            return all(self.numeric(source) for source in self._attributes[name[1:]])
        given = self._bound[name]
        return bool(given) and all(self.numeric(source) if how == "is" else _is_range(source) for how, source in given)

    # --- who gives values to whom ----------------------------------------------------------------------------------

    def _bind(self, target: nodes.Node, how: str, source: Source) -> None:
        self._count += 1
        if isinstance(target, nodes.NSRef):
            self._attributes[target.attr].append(source if how == "is" else None)
        elif isinstance(target, nodes.Name):
            self._bound[target.name].append((how, source))
        elif isinstance(target, nodes.Tuple | nodes.List):
            for item in target.items:
                self._bind(item, "part", source)

    def _from_assign(self, node: nodes.Assign) -> None:
        self._bind(node.target, "is", node.node)

    def _from_assignblock(self, node: nodes.AssignBlock) -> None:
        self._bind(node.target, "is", None)

    def _from_for(self, node: nodes.For) -> None:
        self._bind(node.target, "part", node.iter)

    def _from_with(self, node: nodes.With) -> None:
        for target, value in zip(node.targets, node.values, strict=True):
            self._bind(target, "is", value)

    def _from_macro(self, node: nodes.Macro) -> None:
        for argument in node.args:
            self._bound.setdefault(argument.name, [])
        for argument, default in zip(node.args[len(node.args) - len(node.defaults) :], node.defaults, strict=True):
            self._bind(argument, "is", default)

    def _from_callblock(self, node: nodes.CallBlock) -> None:
        for argument in node.args:
            self._bind(argument, "is", None)

    def _from_call(self, node: nodes.Call) -> None:
        callee = node.node
        if not isinstance(callee, nodes.Name):
            return
        if callee.name == "namespace":
            for keyword in node.kwargs:
                self._attributes[keyword.key].append(keyword.value)
        elif callee.name in self._macros and self._count <= MAX_BINDINGS:
            for macro in self._macros[callee.name]:
                for argument, value in zip(macro.args, node.args, strict=False):
                    self._bind(argument, "is", value)
            for keyword in node.kwargs:
                self._bind(nodes.Name(keyword.key, "store"), "is", keyword.value)

    def _fills_its_own(self, call: nodes.Call) -> bool:
        """Whether a call changes nothing, or only a list or dictionary that the template made under this very name."""
        callee = call.node
        if not isinstance(callee, nodes.Getattr) or callee.attr not in FILLING_METHODS:
            return True
        owner = callee.node
        if isinstance(owner, nodes.Name):
            given = self._bound.get(owner.name, [])
            return bool(given) and all(how == "is" and isinstance(source, nodes.List | nodes.Dict) for how, source in given)
        if isinstance(owner, nodes.Getattr) and self._is_namespace(owner.node):
            return all(isinstance(source, nodes.List | nodes.Dict) for source in self._attributes.get(owner.attr, [None]))
        return False

    # --- what an expression can be ---------------------------------------------------------------------------------

    def numeric(self, node: Source) -> bool:
        """Whether the value can only be a number or a flag (or the expression fails)."""
        if isinstance(node, nodes.Const):
            return isinstance(node.value, int | float)
        if isinstance(node, nodes.Compare | nodes.Not | nodes.Test):
            return True
        if isinstance(node, nodes.BinExpr):
            return not isinstance(node, nodes.And | nodes.Or) and self.numeric(node.left) and self.numeric(node.right)
        if isinstance(node, nodes.Neg | nodes.Pos):
            return self.numeric(node.node)
        if isinstance(node, nodes.CondExpr):
            return self.numeric(node.expr1) and self.numeric(node.expr2)
        if isinstance(node, nodes.Filter):
            return node.name in ("length", "count", "int") and not node.args and not node.kwargs
        if isinstance(node, nodes.Getattr):
            return self._numeric_attribute(node)
        return isinstance(node, nodes.Name) and node.name in self._numbers

    def _numeric_attribute(self, node: nodes.Getattr) -> bool:
        if isinstance(node.node, nodes.Name) and node.node.name == "loop":
            return "loop" not in self._bound and node.attr in COUNTERS
        return self._is_namespace(node.node) and f".{node.attr}" in self._numbers

    def _is_namespace(self, node: nodes.Node) -> bool:
        given = self._bound.get(node.name, []) if isinstance(node, nodes.Name) else []
        return bool(given) and all(how == "is" and _is_new_namespace(source) for how, source in given)

    def _listed(self, node: nodes.Node) -> bool:
        """A name that runs through constants written out in the template (each judged where it stands), or else through the chat."""
        given = self._bound.get(node.name, []) if isinstance(node, nodes.Name) else []
        return bool(given) and all((how == "part" and _is_list_of_constants(source)) or self.from_chat(source) for how, source in given)

    def _data(self, node: Source) -> bool:
        """Whether the value is a part of the chat that the program handed in, and nothing of the file."""
        if isinstance(node, nodes.Name):
            return node.name in (self._chat if node.name in self._bound else CHAT)
        if isinstance(node, nodes.Getattr):
            return self._data(node.node)
        if isinstance(node, nodes.Getitem):
            return self._data(node.node) and (isinstance(node.arg, nodes.Slice | nodes.Const) or self.harmless(node.arg))
        if isinstance(node, nodes.Filter):
            return node.name in PART_FILTERS and not node.args and not node.kwargs and self._data(node.node)
        if isinstance(node, nodes.Call):
            callee = node.node
            takes = isinstance(callee, nodes.Getattr) and callee.attr in PART_METHODS and not node.args and not node.kwargs
            return takes and self._data(callee.node)  # type: ignore[attr-defined]
        if isinstance(node, nodes.CondExpr):
            return self._data(node.expr1) and (node.expr2 is None or self._data(node.expr2))
        if isinstance(node, nodes.And | nodes.Or):
            return self._data(node.left) and (self._data(node.right) or _is_nothing(node.right))
        return isinstance(node, nodes.Const) and node.value is None


def _is_nothing(node: nodes.Node) -> bool:
    """`[]` and `{}`, which stand for what is missing. Under a name of its own such a list could be filled; here it cannot."""
    return isinstance(node, nodes.List | nodes.Dict) and not node.items


def _is_range(source: Source) -> bool:
    return isinstance(source, nodes.Call) and isinstance(source.node, nodes.Name) and source.node.name == "range"


def _is_new_namespace(source: Source) -> bool:
    """`namespace(a=1, ...)`: with keywords only, so that every attribute it has is known."""
    if not isinstance(source, nodes.Call) or source.args or not isinstance(source.node, nodes.Name):
        return False
    return source.node.name == "namespace"


def _is_list_of_constants(source: Source) -> bool:
    return isinstance(source, nodes.List | nodes.Tuple) and all(isinstance(item, nodes.Const) for item in source.items)
