"""Looks through a parsed Jinja2 template for anything beyond text, loops and choices. It needs jinja2, and renders nothing.

The way out of a template goes from any value by attributes to its class, and from there to every other class: `''.__class__.__mro__`.
So names with two underscores are refused however they are written, names put together from pieces are never used as a key, and only
known functions and methods are called.
"""

from __future__ import annotations

import encodings.unicode_escape  # noqa: F401 - the lexer decodes texts with it, maybe when nothing can be imported any more
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser

from scanner.pickles.jinjakeys import Keys


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = frozenset({"raise_exception", "strftime_now", "range", "namespace", "dict", "caller"})
"""What programs give to templates. They may be called, and asked whether they are there; nothing else."""

METHODS = _words(
    "split rsplit strip lstrip rstrip startswith endswith items keys values get upper lower title capitalize replace append extend "
    "insert update join find splitlines removeprefix removesuffix isdigit isspace isalpha partition rpartition count index setdefault "
    "pop"
)
FILTERS = _words(
    "abs batch capitalize count d default dictsort e escape first float forceescape from_json indent int items join last length list "
    "lower map max min reject rejectattr replace reverse round safe select selectattr slice sort string sum title tojson trim "
    "truncate unique upper urlencode wordcount wordwrap groupby"
)
TESTS = _words(
    "boolean defined divisibleby eq equalto escaped even false float ge greaterthan gt in integer iterable le lessthan lower lt mapping "
    "ne none number odd sameas sequence string true undefined upper == != < > <= >= contains"
)
FORBIDDEN_NAMES = _words("lipsum cycler joiner self config request url_for get_flashed_messages")
"""What jinja2 and web frameworks put into templates and everybody breaks out through."""
FOREIGN_NAMES = _words(
    "session g app context environment current_app super eval exec compile getattr setattr globals locals vars os sys subprocess"
)
"""Forbidden too, unless the template itself gives such a name a value."""
FORBIDDEN_ATTRIBUTES = _words(
    "mro func_globals func_code func_closure func_defaults im_func im_self im_class gi_frame gi_code gi_yieldfrom cr_frame cr_code "
    "cr_await ag_frame ag_code tb_frame tb_next f_globals f_locals f_builtins f_back f_code co_code co_consts environment format_map"
)
BY_ATTRIBUTE = _words("map selectattr rejectattr sort groupby sum min max unique join")
"""Filters that fetch an attribute whose name they are given."""

_SPEC = re.compile(r"%(?!%)[-#0 +]*\d{0,3}(?:\.\d{0,3})?([a-zA-Z])")
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.Const, nodes.If, nodes.For, nodes.Assign,
    nodes.AssignBlock, nodes.Macro, nodes.CallBlock, nodes.Filter, nodes.FilterBlock, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.Call, nodes.Keyword, nodes.Concat, nodes.BinExpr, nodes.UnaryExpr, nodes.Compare, nodes.Operand, nodes.CondExpr, nodes.List,
    nodes.Tuple, nodes.Dict, nodes.Pair, nodes.With, nodes.Scope, nodes.Break, nodes.Continue, nodes.ExprStmt,
)  # fmt: skip


class _Generation(Extension):
    """`{% generation %}`, with which training code marks what the assistant says: its body is like any other."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


_ENVIRONMENT = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation])  # noqa: S701 - it never renders


class _Refused(Exception):
    """Why; the text completes "the template could run code: ..."."""


def objection_to(source: str) -> str:
    """Why a template is refused, or "". Raises `TemplateSyntaxError` or `RecursionError` where it cannot be read."""
    try:
        _check_tokens(source)
        tree = Parser(_ENVIRONMENT, source).parse()  # not through the environment, whose error handling imports
        _Walk(tree).check()
    except _Refused as refused:
        return str(refused)
    return ""


def _need(condition: object, text: str) -> None:
    if not condition:
        raise _Refused(text)


def _check_tokens(source: str) -> None:
    """Names and texts as the lexer decodes them, wherever in the template they stand."""
    lexer = _ENVIRONMENT.lexer
    for token in lexer.wrap(lexer.tokeniter(source, None)):
        if token.type in ("name", "string"):
            _need("__" not in unicodedata.normalize("NFKC", str(token.value)), "it holds a name with two underscores")


class _Walk:
    """One look at every node of a tree."""

    def __init__(self, tree: nodes.Template) -> None:
        self._tree = tree
        self._keys = Keys(tree)
        self._macros = {node.name for node in tree.find_all(nodes.Macro)}
        self._bound = self._keys.assigned()
        self._called: set[int] = set()

    def check(self) -> None:
        """Raises `_Refused` at the first thing that no chat template needs."""
        for name in self._bound & (FUNCTIONS | self._macros):
            raise _Refused(f"it gives {name} another meaning")
        for node in _all(self._tree):
            _need(isinstance(node, _ALLOWED), f"it uses {type(node).__name__.lower()}")
            judge = getattr(self, f"_{type(node).__name__.lower()}", None)
            if judge is not None:
                judge(node)

    # --- names -----------------------------------------------------------------------------------------------------

    def _name(self, node: nodes.Name) -> None:
        if node.name not in self._bound:
            _check_word(node.name)
        _need(node.name not in FORBIDDEN_NAMES, f"it uses {node.name}")
        _need(node.name not in FOREIGN_NAMES or node.name in self._bound, f"it uses {node.name}")
        _need(node.name not in FUNCTIONS or id(node) in self._called, f"it uses {node.name} other than by calling it")
        _need(node.name not in self._macros or id(node) in self._called, f"it uses {node.name} other than by calling it")

    def _nsref(self, node: nodes.NSRef) -> None:
        _check_word(node.name)
        _check_attribute(node.attr)
        _need(node.attr not in METHODS or self._keys.numbers(node.attr), f"it gives {node.attr} another meaning")

    def _macro(self, node: nodes.Macro) -> None:
        _check_word(node.name)
        _need(node.name not in FORBIDDEN_NAMES | FUNCTIONS, f"it gives {node.name} another meaning")

    def _keyword(self, node: nodes.Keyword) -> None:
        _check_attribute(node.key)

    def _const(self, node: nodes.Const) -> None:
        if isinstance(node.value, str):
            _need("__" not in unicodedata.normalize("NFKC", node.value), "it holds a name with two underscores")
            _need("%c" not in node.value.lower(), "it makes characters from numbers")
            _need(node.value not in FORBIDDEN_ATTRIBUTES, f"it names {node.value}")

    # --- attributes and keys ---------------------------------------------------------------------------------------

    def _getattr(self, node: nodes.Getattr) -> None:
        _check_attribute(node.attr)
        _need(node.attr != "format" or id(node) in self._called or self._keys.from_chat(node.node), "it keeps the method format for later")

    def _getitem(self, node: nodes.Getitem) -> None:
        key = node.arg
        if isinstance(key, nodes.Slice):
            return
        if isinstance(key, nodes.Const) and isinstance(key.value, str):
            _check_attribute(key.value)
            _need(key.value != "format" or self._keys.from_chat(node.node), "it keeps the method format for later")
            return
        _need(self._keys.harmless(key), "it takes something by a name that it computes")

    # --- calls -----------------------------------------------------------------------------------------------------

    def _call(self, node: nodes.Call) -> None:
        _need(node.dyn_args is None and node.dyn_kwargs is None, "it hides what it passes on")
        callee = node.node
        if isinstance(callee, nodes.Name):
            _need(callee.name in FUNCTIONS | self._macros, f"it calls {callee.name}")
            _need(callee.name != "namespace" or not node.args, "it fills a namespace with what cannot be followed")
            self._called.add(id(callee))
            if callee.name == "namespace":
                for keyword in node.kwargs:
                    _need(keyword.key not in METHODS or self._keys.numbers(keyword.key), f"it gives {keyword.key} another meaning")
            return
        _need(isinstance(callee, nodes.Getattr), "it calls something that has no name")
        self._called.add(id(callee))
        method = callee.attr  # type: ignore[attr-defined]
        if method == "format":
            _check_format(callee.node)  # type: ignore[attr-defined]
            return
        _need(method in METHODS, f"it calls {method[:40]}")

    def _callblock(self, node: nodes.CallBlock) -> None:
        _need(isinstance(node.call, nodes.Call), "it calls something that has no name")

    def _filter(self, node: nodes.Filter) -> None:
        _need(node.dyn_args is None and node.dyn_kwargs is None, "it hides what it passes on")
        _need(node.name in FILTERS, f"it uses the filter {node.name[:40]}")
        if node.name in BY_ATTRIBUTE:
            self._check_by_attribute(node)
        if node.name in ("select", "reject") and node.args:
            _need(_literal(node.args[0]) in TESTS, "it uses a test that is not known")

    def _check_by_attribute(self, node: nodes.Filter) -> None:
        """`map("name")` applies a filter; all others, and `map(attribute="name")`, take an attribute."""
        for keyword in node.kwargs:
            if keyword.key == "attribute":
                _check_path(keyword.value)
        if not node.args:
            return
        if node.name == "map":
            _need(_literal(node.args[0]) in FILTERS - BY_ATTRIBUTE, "it uses a filter that is not known")
        elif node.name in ("selectattr", "rejectattr"):
            _check_path(node.args[0])
            _need(len(node.args) < 2 or _literal(node.args[1]) in TESTS, "it uses a test that is not known")
        elif node.name in ("groupby", "sum"):
            _check_path(node.args[0])
        elif len(node.args) > 1 and not isinstance(_constant(node.args[-1]), bool):
            _check_path(node.args[-1])

    def _test(self, node: nodes.Test) -> None:
        _need(node.name in TESTS, f"it uses the test {node.name[:40]}")
        if node.name in ("defined", "undefined", "none") and isinstance(node.node, nodes.Name):
            self._called.add(id(node.node))  # asking whether a function is there does nothing with it

    # --- pieces of names -------------------------------------------------------------------------------------------

    def _concat(self, node: nodes.Concat) -> None:
        _check_pieces(node.nodes)

    def _add(self, node: nodes.Add) -> None:
        _check_pieces([node.left, node.right])

    def _list(self, node: nodes.List) -> None:
        _check_pieces(node.items)

    def _tuple(self, node: nodes.Tuple) -> None:
        _check_pieces(node.items)

    def _mod(self, node: nodes.Mod) -> None:
        text = _literal(node.left)
        _need(all(letter in "sdif" for letter in _SPEC.findall(text or "")), "it makes characters from numbers")

    def _mul(self, node: nodes.Mul) -> None:
        _need(all(set(_literal(side) or "x") != {"_"} for side in (node.left, node.right)), "it puts a name with underscores together")


def _all(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Every node, parents first, without recursion."""
    todo: list[nodes.Node] = [tree]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(reversed(list(node.iter_child_nodes())))


def _constant(node: nodes.Node) -> Any:
    return node.value if isinstance(node, nodes.Const) else None


def _literal(node: nodes.Node) -> str | None:
    """The text of a constant, None for anything else."""
    value = _constant(node)
    return value if isinstance(value, str) else None


def _check_word(name: str) -> None:
    plain = unicodedata.normalize("NFKC", name)
    _need(plain == "_" or not plain.startswith("_"), "it uses a name that begins with an underscore")


def _check_attribute(name: str) -> None:
    plain = unicodedata.normalize("NFKC", name)
    _need(not plain.startswith("_") and plain not in FORBIDDEN_ATTRIBUTES, f"it takes the attribute {plain[:40]}")


def _check_path(node: nodes.Node) -> None:
    """An attribute that a filter is given: a text as it stands, of plain names."""
    value = _constant(node)
    if isinstance(value, int):
        return
    _need(isinstance(value, str), "it takes an attribute by a name that it computes")
    for part in re.split(r"[.,]", str(value)):
        _check_attribute(part.strip())


def _check_pieces(parts: list[nodes.Expr]) -> None:
    """No piece that begins or ends with an underscore is put beside others."""
    for part in parts:
        text = _literal(part)
        if text:
            plain = unicodedata.normalize("NFKC", text)
            _need(not plain.startswith("_") and not plain.endswith("_"), "it puts a name with underscores together")


def _check_format(base: nodes.Node) -> None:
    """`"...".format()` can reach attributes of what it is given; plain `{}` and `{0}` cannot."""
    text = _literal(base)
    _need(text is not None and not re.search(r"\{[^{}]*[.\[:!_][^{}]*\}", text), "it formats by a text that can reach into what it shows")


__all__ = ["TemplateSyntaxError", "objection_to"]
