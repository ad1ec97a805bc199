"""Templates fill in values, and nothing that anybody writes into one or the other does more than that."""

from __future__ import annotations

import pytest

from app.core.errors import InvalidTemplate, InvalidVariables
from app.core.template_language import MAX_FILLED, MAX_PLACEHOLDERS, MAX_TEMPLATE, Variable, fill, parse, variables_in

DEEP = {"a": {"b": [{"c": "found"}]}}


@pytest.mark.parametrize(
    ("text", "variables", "filled"),
    [
        ("no braces", {}, "no braces"),
        ("", {}, ""),
        ("{{a}}{{ a }}{{\n a \t}}", {"a": "x"}, "xxx"),
        ("{{ a.b.0.c }}", DEEP, "found"),
        ("{{ a.b }}", {"a.b": "by its whole name"}, "by its whole name"),
        ('{{ a | default("x") }}', {}, "x"),
        ("{{ a | default('x') }}", {"a": None}, "x"),
        ("{{ a | default(3) }}", {"a": ""}, "3"),
        ('{{ a | default("") }}', {}, ""),
        ('{{ a | upper | default("none") }}', {}, "none"),
        ('{{ a | default("x") | upper }}', {"a": "y"}, "Y"),
        ("{{ a | default(5) }}", {"a": 0}, "0"),
        ("{{ a | trim }}", {"a": "  x\n"}, "x"),
        ("{{ a | lower }} {{ a | upper }}", {"a": "Äb"}, "äb ÄB"),
        ("{{ a | capitalize }}", {"a": "hello World"}, "Hello World"),
        ("{{ a | truncate(4) }}", {"a": "abcdef"}, "abc…"),
        ("{{ a | truncate(6) }}{{ a | truncate(0) }}", {"a": "abcdef"}, "abcdef"),
        ('{{ a | join("; ") }}', {"a": [1, "b", True]}, "1; b; true"),
        ('{{ a | join("\\n- ") }}', {"a": ["x", "y"]}, "x\n- y"),
        ("{{ a }}", {"a": [1, "b"]}, "1, b"),
        ("{{ a }}", {"a": {"b": [1, None]}}, '{"b": [1, null]}'),
        ("{{ a | json }}", {"a": 'say "ü"'}, '"say \\"ü\\""'),
        ("{{ a }}", {"a": False}, "false"),
        ('{{ "{{" }} a }}', {}, "{{ a }}"),
        ('{{ "quotes \\" and \\\\ \\t" }}', {}, 'quotes " and \\ \t'),
        ("{ {a} } }} {", {}, "{ {a} } }} {"),
        ("{{ größe }} {{ 名前 }}", {"größe": 1, "名前": "x"}, "1 x"),
        ("{{ default }}", {"default": "a name like any other"}, "a name like any other"),
    ],
)
def test_placeholders_become_values(text, variables, filled):
    assert fill([text], variables) == [filled]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("one\ntwo {{", "Line 2: {{ is never closed"),
        ("{{ a", "never closed"),
        ("{{ {{ a }} }}", "this cannot stand in a placeholder"),
        ("{{}}", "begins with the name of a variable"),
        ("{{ 5 }}", "begins with the name"),
        ("{{ | upper }}", "begins with the name"),
        ("{{ a b }}", "after the variable comes"),
        ("{{ a() }}", "after the variable comes"),
        ("{{ a[0] }}", "cannot stand in a placeholder"),
        ("{{ a. }}", "cannot stand"),
        ("{{ a + 1 }}", "cannot stand"),
        ("{{ a | }}", "no such filter"),
        ("{{ a | safe }}", "no such filter; there are default, "),
        ("{{ a | attr('x') }}", "no such filter"),
        ("{{ a | truncate }}", "write the filter as truncate(100)"),
        ('{{ a | truncate("3") }}', "write the filter"),
        ("{{ a | truncate(-3) }}", "write the filter"),
        ("{{ a | upper(1) }}", "write the filter as upper"),
        ('{{ a | default("x) }}', "cannot stand"),
        ("{{ a | default(b) }}", "stand texts in quotes"),
        ("{{ a " + "| trim " * 9 + "}}", "at most 8 filters"),
        ("{{ " + "a" * 101 + " }}", "at most 100 characters"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(text, complaint):
    with pytest.raises(InvalidTemplate) as raised:
        parse(text)
    assert complaint in raised.value.message
    assert raised.value.message.startswith("Line ")


def test_a_value_is_never_read_as_a_template():
    values = {"a": "{{ b }} {{ a }}", "b": "secret"}
    assert fill(["{{ a }}|{{ b }}"], values) == ["{{ b }} {{ a }}|secret"]


@pytest.mark.parametrize(
    "path",
    ["a.__class__", "a.__class__.__mro__.1", "__builtins__", "a.upper", "a.0", "self.__dict__", "l.append", "l.-1"],
)
def test_attributes_do_not_exist(path):
    with pytest.raises((InvalidVariables, InvalidTemplate)):
        fill([f"{{{{ {path} }}}}"], {"a": "text", "l": [1]})


def test_a_key_that_looks_like_an_attribute_is_a_key():
    assert fill(["{{ a.__class__ }}"], {"a": {"__class__": "mine"}}) == ["mine"]


def test_all_that_is_missing_or_unknown_is_named_and_no_value_is():
    with pytest.raises(InvalidVariables) as raised:
        fill(["{{ topic }} {{ user.name }}", "{{ topic }}"], {"tpoic": "hidden", "user": {"id": "hidden"}})
    assert raised.value.message == "Missing: topic, user.name. Unknown: tpoic. The template takes topic, user.name."


def test_a_strange_name_is_not_repeated():
    with pytest.raises(InvalidVariables) as raised:
        fill(["x"], {"<script>": 1, "\n": 2})
    assert raised.value.message == "Unknown: a name that no variable has. The template takes no variables."


def test_variables_are_listed_once_and_are_required_where_a_default_is_missing():
    found = variables_in(['{{ a | default("x") }} {{ b }}', '{{ a }} {{ c.d | upper | default(3) }} {{ "{{" }}'])
    assert found == [
        Variable("a", required=True),
        Variable("b", required=True),
        Variable("c.d", required=False, default="3"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{{" * 500_000,
        "{{" * (MAX_TEMPLATE // 2),
        "{{ a" + " " * (MAX_TEMPLATE - 10),
        '{{ "' + "\\" * (MAX_TEMPLATE - 10),
        "{{ a | default(" + '"x",' * 20_000,
        "{{ a" + ".a" * 40_000 + " }}",
        "{{a}}" * (MAX_PLACEHOLDERS + 1),
        "{{ a " + "|trim" * 15_000 + "}}",
    ],
)
def test_a_huge_or_endless_template_is_refused_in_few_words(text):
    with pytest.raises(InvalidTemplate) as raised:
        parse(text)
    assert len(raised.value.message) < 400


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ a }}" * MAX_PLACEHOLDERS, "x" * (MAX_FILLED // MAX_PLACEHOLDERS + 1)),
        ("{{ a | truncate(1) }}" * MAX_PLACEHOLDERS, "x" * 100_000),
        ("{{ a | trim }}" * MAX_PLACEHOLDERS, " " * 1_000_000),
        ("{{ a | json | truncate(1) }}" * MAX_PLACEHOLDERS, ["x"] * 100_000),
        ('{{ a | join("' + "y" * 1000 + '") | truncate(1) }}' * 10, ["x"] * 100_000),
    ],
)
def test_a_result_cannot_grow_without_bound_whatever_filters_cut_away(text, value):
    with pytest.raises(InvalidVariables, match="too long"):
        fill([text], {"a": value})


def test_a_great_many_variables_are_refused_before_they_are_compared():
    with pytest.raises(InvalidVariables, match="too many"):
        fill(["{{ a }}"], {f"v{number}": 1 for number in range(100_000)})
