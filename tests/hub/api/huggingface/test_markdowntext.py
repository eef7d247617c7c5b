"""What strangers write stays where it was put: read back by a real parser of Markdown."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hub.api.huggingface.markdowntext import code, fenced, plain, quoted

SIGNS = st.text(st.sampled_from("ab `~|<>&*_[]()#!\\-=\n\r\t\u2028\u202e\x00\x0b:/."), max_size=60)
HEADING_AND_MORE = ["heading_open", "heading_close", "paragraph_open", "paragraph_close"]
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def kinds(markdown: str) -> list[str]:
    return [token.type for token in PARSER.parse(markdown) if token.level == 0]


@given(SIGNS)
def test_a_heading_stays_one_heading(text: str) -> None:
    tokens = PARSER.parse(f"# x{plain(text)}\n\nafter")
    assert [token.type for token in tokens if token.level == 0] == HEADING_AND_MORE
    assert {child.type for child in tokens[1].children or []} <= {"text", "text_special"}


@given(SIGNS)
def test_a_code_span_holds_all_of_it(text: str) -> None:
    tokens = PARSER.parse(f"- {code(text)}")
    (inline,) = [token for token in tokens if token.type == "inline"]
    assert [child.type for child in inline.children or []] == ["code_inline"]


@given(SIGNS)
def test_a_cell_stays_a_cell(text: str) -> None:
    rows = PARSER.parse(f"| File | Size |\n|---|---|\n| {code(text, cell=True)} | 1 kB |\n")
    assert sum(token.type == "td_open" for token in rows) == 2
    assert sum(token.type == "tr_open" for token in rows) == 2


@given(st.lists(SIGNS, max_size=4))
def test_a_block_of_code_ends_where_it_should(lines: list[str]) -> None:
    assert kinds(f"{fenced(lines, 'sh')}\n\nafter") == ["fence", "paragraph_open", "paragraph_close"]


@given(SIGNS)
def test_a_quotation_holds_all_that_a_creator_says_and_no_tag(text: str) -> None:
    found = kinds(f"{quoted(text)}\n\nafter")
    assert found[-2:] == ["paragraph_open", "paragraph_close"]
    assert set(found[:-2]) <= {"blockquote_open", "blockquote_close"}
    assert not [token for token in PARSER.parse(quoted(text)) if token.type == "html_block"]


def test_a_quotation_keeps_lists_links_and_code() -> None:
    html = PARSER.render(quoted("* one\n* [two](https://example.org)\n\n```\nthree\n```"))
    assert re.findall(r"<(li|a|code)\b", html) == ["li", "li", "a", "code"]


def test_prompts_of_a_description_are_shown_as_written() -> None:
    assert "&lt;lora:paper:0.8&gt;" in PARSER.render(quoted("use <lora:paper:0.8> <script>alert(1)</script>"))
    assert "<script" not in PARSER.render(quoted("x <script>alert(1)</script>"))
