"""GGUF files: chat templates that break out of their cage, and structure that readers could trip over."""

from __future__ import annotations

import struct
from functools import partial

from tests.attacks.assemble import FLOATS, Part, pickled, system, zipped
from tests.attacks.catalogue import attack, each
from tests.attacks.writers import gguf, gguf_tensor, gguf_text

DANGER, ERROR = "danger", "error"
TEMPLATES: dict[str, str] = {
    "class_of_a_text": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class_by_key": "{{ ''['__class__'] }}",
    "class_by_escapes": "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "class_by_octal": "{{ ''['\\137\\137class\\137\\137'] }}",
    "class_in_pieces": "{{ ''['__cla'~'ss__'] }}",
    "class_in_small_pieces": "{{ ''['_'~'_class_'~'_'] }}",
    "class_by_plus": "{{ ''['_' + '_class_' + '_'] }}",
    "class_by_join": "{{ ''[['_', '_class_', '_']|join] }}",
    "class_by_arguments_of_dict": "{{ ''[dict(__class__=1)|first] }}",
    "class_by_reverse": "{{ ''['__ssalc__'|reverse] }}",
    "class_by_format_filter": "{{ ''['%c%cclass%c%c'|format(95, 95, 95, 95)] }}",
    "class_by_percent": "{{ ''['%c%cclass%c%c' % (95, 95, 95, 95)] }}",
    "class_by_format_method": "{{ ''['{0:c}{0:c}class{0:c}{0:c}'.format(95)] }}",
    "class_by_replace": "{{ ''['AAclassAA'.replace('A', 'tool_calls'[4])] }}",
    "class_by_every_second_letter": "{{ ''['_x_xcxlxaxsxsx_x_'[::2]] }}",
    "class_by_mapped_replace": "{{ ''[['AAclassAA']|map('replace', 'A', 'a_b'[1])|first] }}",
    "class_by_sum": "{{ ''[['a_b'[1], 'a_b'[1], 'class']|sum(start='')] }}",
    "underscore_of_a_generator": "{% set u = (()|select|string|list)[24] %}{{ ''[u ~ u ~ 'class' ~ u ~ u] }}",
    "name_kept_in_a_variable": "{% set k = 'a_b'[1] ~ 'class' %}{{ ''[k] }}",
    "name_kept_in_a_namespace": "{% set ns = namespace(k='') %}{% set ns.k = 'a' ~ 'b' %}{{ ''[ns.k] }}",
    "name_kept_in_a_list": "{% set l = [] %}{% set _ = l.append('a' ~ 'b') %}{{ ''[l[0]] }}",
    "name_kept_in_a_block": "{% set k %}{{ 'a' }}{{ 'b' }}{% endset %}{{ ''[k] }}",
    "name_from_a_loop": "{% for k in ['a' ~ 'b'] %}{{ ''[k] }}{% endfor %}",
    "name_from_the_previous_item": "{% for k in ['a' ~ 'b', 'c'] %}{{ ''[loop.previtem] }}{% endfor %}",
    "name_given_to_a_macro": "{% macro m(k) %}{{ ''[k] }}{% endmacro %}{{ m('a' ~ 'b') }}",
    "name_from_a_macro": "{% macro m() %}ab{% endmacro %}{{ ''[m()] }}",
    "name_as_a_default_of_int": "{{ ''['x'|int(default='a_b'[1] ~ 'class')] }}",
    "name_as_a_counter_of_a_loop": "{% set loop = {'index': 'a' ~ 'b'} %}{{ ''[loop.index] }}",
    "name_under_another_name": "{% set a = [] %}{% set b = a %}{% set _ = b.append('a' ~ 'b') %}{{ ''[a[0]] }}",
    "name_in_a_list_of_lists": "{% set a = [] %}{% set b = [a] %}{% set _ = b[0].append('a' ~ 'b') %}{{ ''[a[0]] }}",
    "name_through_a_macro": "{% macro m(l) %}{% set _ = l.append('a' ~ 'b') %}{% endmacro %}{% set a = [] %}{{ m(a) }}{{ ''[a[0]] }}",
    "name_in_another_namespace": "{% set n = namespace(k=0) %}{% set d = {'k': 'a' ~ 'b'} %}{{ ''[d.k] }}",
    "name_in_a_namespace_by_another_name": "{% set n = namespace() %}{% set m = n %}{% set m.k = 'a' ~ 'b' %}{{ ''[n[x]] }}",
    "name_in_a_dictionary": "{% set d = {} %}{% set _ = d.update({'k': 'a' ~ 'b'}) %}{{ ''[d.k] }}",
    "name_by_html": "{{ ''['&#95;class'|striptags] }}",
    "name_in_a_circle": "{% set a = b %}{% set b = a %}{% set a = 'x' ~ 'y' %}{{ q[b] }}",
    "name_in_a_with": "{% with k = 'a' ~ 'b' %}{{ x[k] }}{% endwith %}",
    "attr_filter": "{{ ''|attr('x') }}",
    "attr_filter_mapped": "{{ messages|map('attr', 'x')|list }}",
    "map_by_attribute": "{{ messages|map(attribute='__class__')|list }}",
    "map_by_computed_attribute": "{{ messages|map(attribute='a' ~ 'b')|list }}",
    "selectattr": "{{ messages|selectattr('__class__')|list }}",
    "groupby": "{{ messages|groupby('__class__') }}",
    "sort_by_attribute": "{{ messages|sort(attribute='x.__class__') }}",
    "join_by_attribute": "{{ [x]|join(',', '__class__') }}",
    "lipsum": "{{ lipsum.x }}",
    "cycler": "{{ cycler }}",
    "joiner": "{{ joiner()|string }}",
    "self": "{{ self.x }}",
    "config": "{{ config.items() }}",
    "request": "{{ request.application }}",
    "url_for": "{{ url_for.x }}",
    "function_as_a_value": "{{ raise_exception.x }}",
    "function_in_a_variable": "{% set f = strftime_now %}{{ f }}",
    "function_through_a_filter": "{{ (raise_exception)|string }}",
    "import": "{% import 'os' as os %}",
    "from_import": "{% from 'os' import system %}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends 'layout' %}",
    "block": "{% block a %}{% endblock %}",
    "frame_of_a_generator": "{{ (messages|select).gi_frame.f_globals }}",
    "mro": "{{ namespace.mro }}",
    "call_of_a_key": "{{ messages[0]['x']() }}",
    "call_of_a_variable": "{{ x() }}",
    "call_of_an_unknown_method": "{{ messages.foo() }}",
    "function_replaced": "{% set range = messages[0] %}{{ range() }}",
    "method_replaced": "{% set ns = namespace() %}{% set ns.split = x %}{{ ns.split() }}",
    "hidden_arguments": "{{ namespace(**x) }}",
    "format_that_reaches_in": "{{ '{0.x}'.format(messages) }}",
    "unknown_filter": "{{ x|xmlattr }}",
    "unknown_test": "{{ x is callable }}",
    "leading_underscore": "{{ x._y }}",
    "format_kept_under_another_name": "{% set d = {'upper': '{0}{0}class{0}{0}'.format} %}{{ ''[d.upper('_')] }}",
    "format_kept_by_key": "{% set d = {'upper': messages.x['format'], 'lower': ''['format']} %}{{ d.lower('_') }}",
    "join_kept_under_another_name": "{% set d = {'index': '_'.join} %}{{ ''[d.index(['', '', 'class', '', ''])] }}",
    "replace_kept_under_another_name": "{% set d = {'find': 'AAclassAA'.replace} %}{{ ''[d.find('A', 'a_b'[1])] }}",
    "method_kept_in_a_namespace": "{% set n = namespace(count='AAclassAA'.replace) %}{{ ''[n.count('A', 'a_b'[1])] }}",
    "method_kept_by_dict": "{% set d = dict(count='AAclassAA'.replace) %}{{ ''[d.count('A', 'a_b'[1])] }}",
    "method_of_a_namespace_replaced": "{% set n = namespace(upper=t.x) %}{{ n.upper(messages) }}",
    "name_that_the_file_holds": "{{ ''[bos_token] }}",
    "part_of_a_name_that_the_file_holds": "{% for k in bos_token.split(' ') %}{{ ''[k] }}{% endfor %}",
    "name_by_difference_of_sets": "{{ ''[({'AAclassAA'|replace('A', 'a_b'[1]): 1}.keys() - [])|first] }}",
    "namespace_filled_from_a_dictionary": "{% set n = namespace({'x': 'a' ~ 'b'}) %}{% set m = namespace(x=0) %}{{ ''[n.x] }}",
    "name_through_a_caller": "{% set a = [] %}{% macro m() %}{{ caller(a) }}{% endmacro %}{% call(b) m() %}"
    "{% set _ = b.append('a' ~ 'b') %}{% endcall %}{{ ''[a[0]] }}",
    "name_written_into_the_chat": "{% set _ = messages[0].update({'role': 'a' ~ 'b'}) %}{{ ''[messages[0].role] }}",
    "name_written_into_the_chat_by_another_name": "{% set t = tools %}{% set _ = t.append('a' ~ 'b') %}"
    "{% for k in tools %}{{ ''[k] }}{% endfor %}",
    "part_of_a_listed_name": "{% for k in ['xgi_frame'] %}{{ (messages|select)[k[1:]] }}{% endfor %}",
    "letters_of_a_listed_name": "{% for k in ['_x_x'] %}{% for c in k %}{{ ''[c] }}{% endfor %}{% endfor %}",
    "chat_under_a_borrowed_name": "{% set messages = ['a' ~ 'b'] %}{% for k in messages %}{{ ''[k] }}{% endfor %}",
    "names_in_a_ring_with_the_chat": "{% set a = b %}{% set b = a %}{% set b = 'a' ~ 'b' %}{% set c = a %}{{ ''[c] }}",
}
"""title -> a template that must be refused"""

each(
    DANGER,
    "G-TEMPLATE",
    "model.gguf",
    klass=32,
    rows={f"ggufs.{title}": partial(gguf, {"tokenizer.chat_template": template}) for title, template in TEMPLATES.items()},
)
each(
    ERROR,
    "G-TEMPLATE",
    "model.gguf",
    klass=33,
    rows={
        "ggufs.template_nested_deeply": lambda: gguf({"tokenizer.chat_template": "{{ " + "(" * 15_000 + ")" * 15_000 + " }}"}),
        "ggufs.template_of_a_long_number": lambda: gguf({"tokenizer.chat_template": "{{ " + "1_" * 20_000 + " }}"}),
        "ggufs.template_that_is_very_long": lambda: gguf({"tokenizer.chat_template": "a" * 200_000}),
        "ggufs.template_that_is_no_text": lambda: gguf({"tokenizer.chat_template": struct.pack("<I", 8) + gguf_text(b"\xff\xfe")}),
        "ggufs.template_that_is_broken": lambda: gguf({"tokenizer.chat_template": "{{ x"}),
    },
)


@attack(DANGER, "G-TEMPLATE", "model.gguf", klass=32)
def second_template() -> bytes:
    return gguf({"tokenizer.chat_template": "{{ x }}", "tokenizer.chat_template.tool_use": "{{ x.__class__ }}"})


@attack(ERROR, "G-TYPE", "model.gguf", klass=32)
def template_that_is_a_list() -> bytes:
    return gguf({"tokenizer.chat_template": ["{{ ''.__class__ }}"]})


@attack(ERROR, "G-DUP", "model.gguf", klass=32)
def key_given_twice() -> bytes:
    """A scanner that keeps the last value and a program that keeps the first would see two templates."""
    again = gguf_text("tokenizer.chat_template") + struct.pack("<I", 8) + gguf_text("{{ ''.__class__ }}")
    first = struct.pack("<I", 8) + gguf_text("{{ x }}")
    return gguf({"tokenizer.chat_template": first + again}, key_count=3)


HEAD = struct.pack("<4sI", b"GGUF", 3)
each(
    ERROR,
    "G-LIMIT",
    "model.gguf",
    klass=33,
    rows={
        "ggufs.counts_beyond_all_files": lambda: HEAD + struct.pack("<QQ", 1 << 62, 1 << 62),
        "ggufs.list_beyond_all_memory": lambda: gguf({"a": struct.pack("<IIQ", 9, 0, 1 << 60)}),
        "ggufs.text_beyond_all_memory": lambda: gguf({"a": struct.pack("<IQ", 8, 1 << 60)}),
        "ggufs.list_in_a_list_in_a_list": lambda: gguf({"a": struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 3 + bytes(12)}),
    },
)
each(
    ERROR,
    "G-PLACE",
    "model.gguf",
    klass=30,
    rows={
        "ggufs.two_tensors_in_one_place": lambda: gguf(tensors=[gguf_tensor("a"), gguf_tensor("b")], data=bytes(64)),
        "ggufs.hole_between_tensors": lambda: gguf(tensors=[gguf_tensor("a"), gguf_tensor("b", offset=64)], data=bytes(96)),
        "ggufs.tensor_out_of_line": lambda: gguf(tensors=[gguf_tensor("a"), gguf_tensor("b", offset=33)], data=bytes(96)),
    },
)
each(
    ERROR,
    "G-SHAPE",
    "model.gguf",
    klass=30,
    rows={
        "ggufs.five_dimensions": lambda: gguf(tensors=[gguf_tensor(shape=(2, 1, 1, 1, 2))]),
        "ggufs.no_dimensions": lambda: gguf(tensors=[gguf_tensor(shape=())]),
        "ggufs.shape_beyond_all_memory": lambda: gguf(tensors=[gguf_tensor(shape=(1 << 40, 1 << 40))]),
        "ggufs.part_of_a_block": lambda: gguf(tensors=[gguf_tensor(shape=(33, 1), kind=2)]),
    },
)


@attack(ERROR, "G-TYPE", "model.gguf", klass=30)
def element_type_that_does_not_exist() -> bytes:
    return gguf(tensors=[gguf_tensor(kind=99)])


@attack(ERROR, "G-TYPE", "model.gguf", klass=32)
def value_type_that_does_not_exist() -> bytes:
    return gguf({"a": struct.pack("<I", 77)})


@attack(ERROR, "G-DUP", "model.gguf", klass=30)
def two_tensors_of_one_name() -> bytes:
    return gguf(tensors=[gguf_tensor(), gguf_tensor(offset=32)], data=bytes(64))


@attack(ERROR, "G-ALIGN", "model.gguf", klass=30)
def alignment_of_nothing() -> bytes:
    return gguf({"general.alignment": 0})


@attack(ERROR, "G-VERSION", "model.gguf", klass=32)
def version_of_the_future() -> bytes:
    return gguf(version=99)


@attack(ERROR, "G-VERSION", "model.gguf", klass=32)
def big_endian_model() -> bytes:
    return b"GGUF\0\0\0\3" + gguf()[8:]


@attack(ERROR, "G-TRAILING", "model.gguf", klass=22)
def pickle_behind_the_tensors() -> bytes:
    return gguf() + pickled(system())


@attack(ERROR, "G-PADDING", "model.gguf", klass=22)
def data_in_the_padding() -> bytes:
    return gguf(data=FLOATS + b"hidden".ljust(16, b"\0"))


@attack(ERROR, "F-TRUNCATED", "model.gguf", klass=14)
def model_cut_short() -> bytes:
    return gguf()[:-20]


@attack(DANGER, "F-POLYGLOT", "model.gguf", klass=22)
def zip_in_the_last_tensor() -> bytes:
    inner = zipped([Part("__main__.py", b"print('owned')")])
    return gguf(tensors=[gguf_tensor(shape=(len(inner),), kind=24)], data=inner)


@attack(DANGER, "F-EXTENSION", "model.gguf", klass=26)
def pickle_named_gguf() -> bytes:
    return pickled(system())


@attack(ERROR, "F-EXTENSION", "model.safetensors", klass=26)
def gguf_named_safetensors() -> bytes:
    return gguf()
