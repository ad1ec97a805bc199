"""Arguments of a call beside the schema of its tool, which may be anybody's."""

from __future__ import annotations

import pytest

from app.chat.arguments import LONGEST_COMPLAINT, ArgumentCheck
from app.core.tools import ToolSpec

OBJECT = {"type": "object", "properties": {}}
BROKEN = "The arguments cannot be checked: the schema of this tool is broken."
TOO_BIG = "The arguments cannot be checked: they and the schema of this tool are too big."


def problem(schema, value):
    return ArgumentCheck(ToolSpec("t", "", schema)).complaint(value)


def having(schema):
    return {"type": "object", "properties": {"x": schema}}


NESTED = {"type": "object", "properties": {"at": {"type": "object", "properties": {"x": {"type": "integer"}}}}}


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        (OBJECT, {}, True),
        (OBJECT, {"x": 1}, False),
        ({"type": "object"}, {"x": 1}, True),
        ({**OBJECT, "additionalProperties": True}, {"x": 1}, True),
        (NESTED, {"at": {"x": 1}}, True),
        (NESTED, {"at": {"x": "1"}}, False),
        (NESTED, {"at": {"x": True}}, False),
        (NESTED, {"at": {"x": 1, "y": 2}}, False),
        ({"type": "object", "properties": {"l": {"type": "array", "items": NESTED}}}, {"l": [{"z": 1}]}, False),
        ({"type": "object", "properties": {}, "allOf": [{"properties": {"x": {}}}]}, {"x": 1}, True),
        ({"type": "object", "patternProperties": {"^x": {"type": "integer"}}}, {"x": 1}, True),
        ({**OBJECT, "properties": {"t": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}, {"t": 1}, False),
        (having({"anyOf": [{"type": "integer"}, {"type": "null"}]}), {"x": "1"}, False),
        (having({"enum": ["a", "b"]}), {"x": "c"}, False),
    ],
)
def test_arguments_fit_the_schema_or_not(schema, value, fits):
    assert (problem(schema, value) is None) is fits


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/schema.json", "file:///etc/hostname", "#/$defs/nobody"])
def test_a_schema_fetches_nothing(reference):
    schema = {"type": "object", "properties": {"x": {"$ref": reference}}}
    assert problem(schema, {"x": 1}) == BROKEN


def test_a_schema_that_leads_into_itself_ends():
    assert problem({"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}}, {"x": 1}) is not None


PATTERN = "^(a+)+$"
MISFIT = "a" * 5_000 + "!"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (having({"type": "string", "pattern": PATTERN}), {"x": MISFIT}),
        ({"type": "object", "patternProperties": {PATTERN: {}}}, {MISFIT: 1}),
        ({"type": "object", "patternProperties": {PATTERN: {}}, "additionalProperties": False}, {MISFIT: 1}),
        ({"type": "object", "patternProperties": {PATTERN: {}}, "additionalProperties": {}}, {MISFIT: 1}),
        ({"type": "object", "patternProperties": {PATTERN: {}}, "unevaluatedProperties": False}, {MISFIT: 1}),
        (having({"type": "array", "uniqueItems": True}), {"x": [{"y": number} for number in range(9_000)]}),
    ],
)
def test_what_may_take_for_ever_is_left_to_whoever_runs_the_tool(schema, value):
    assert problem(schema, value) is None


def laughs(keyword):
    """Each definition means the one before twice: a billion checks in two thousand characters."""
    definitions = {"d0": {"type": "string"}}
    for number in range(1, 31):
        definitions[f"d{number}"] = {keyword: [{"$ref": f"#/$defs/d{number - 1}"}] * 2}
    return {**having({"$ref": "#/$defs/d30"}), "$defs": definitions}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (laughs("allOf"), {"x": "y"}),
        (laughs("anyOf"), {"x": 1}),
        (having({"items": {"anyOf": [{"const": str(number)} for number in range(900)]}}), {"x": ["no"] * 16_000}),
    ],
)
def test_a_schema_that_takes_too_long_lets_nothing_pass(schema, value):
    assert problem(schema, value) == TOO_BIG


def test_a_complaint_is_short():
    assert len(problem({**OBJECT, "properties": {"x": {"type": "integer"}}}, {"x": "y" * 10_000})) <= LONGEST_COMPLAINT
