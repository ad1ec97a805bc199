from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from itertools import count
from threading import current_thread, main_thread
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from app.core.tools import Tool, ToolContext, ToolFailure, ToolFile, ToolOutput
from app.tools.functions import NotATool, read_docstring, tool_from

pytestmark = pytest.mark.anyio

CONTEXT = ToolContext("b1", "call-1")


class Colour(Enum):
    RED = "red"


class Place(BaseModel):
    name: str


@dataclass
class Answer:
    when: date
    places: list[Place]


async def run(function: Callable[..., Any], **arguments: Any) -> Any:
    execute = tool_from(function).execute
    assert execute is not None
    return await execute(arguments, CONTEXT)  # type: ignore[misc]


def weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius", days: int | None = None) -> dict[str, Any]:
    """Tell the weather.

    Right now, or on the next days.

    Args:
        city: the name of a city,
            in English
        unit (str): of temperatures

    Returns:
        nothing that the model is told of
    """
    return {"city": city, "unit": unit, "days": days}


def test_hints_become_the_schema_and_the_docstring_the_description() -> None:
    assert tool_from(weather, policy="ask").policy == "ask"
    spec = tool_from(weather).spec
    assert spec.name == "weather"
    assert spec.description == "Tell the weather.\n\nRight now, or on the next days."
    assert spec.input_schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "the name of a city, in English"},
            "unit": {
                "type": "string",
                "enum": ["celsius", "fahrenheit"],
                "default": "celsius",
                "description": "of temperatures",
            },
            "days": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_a_function_may_take_nothing_and_say_nothing() -> None:
    def look_around(): ...

    spec = tool_from(look_around).spec
    assert spec.description == "look around"
    assert spec.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}


def test_names_that_pydantic_has_itself_are_ordinary_parameters() -> None:
    def odd(schema: str, json: int, model_config: bool, _x: str, copy: Annotated[str, Field(max_length=3)]) -> str:
        return f"{schema}{json}{model_config}{_x}{copy}"

    assert list(tool_from(odd).spec.input_schema["properties"]) == ["schema", "json", "model_config", "_x", "copy"]


async def test_arguments_arrive_as_the_types_say() -> None:
    def meet(when: date, colour: Colour, place: Place, *, tags: set[str], ratio: float = 0.5) -> list[str]:
        return [repr(value) for value in (when, colour, place, tags, ratio)]

    assert await run(meet, when="2026-11-21", colour="red", place={"name": "Rome"}, tags=["a"], ratio=1) == [
        "datetime.date(2026, 11, 21)",
        "<Colour.RED: 'red'>",
        "Place(name='Rome')",
        "{'a'}",
        "1.0",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "city: Field required."),
        ({"city": 3}, "city: Input should be a valid string."),
        ({"city": "Rome", "days": "2"}, "days: Input should be a valid integer."),
        ({"city": "Rome", "days": True}, "days: Input should be a valid integer."),
        ({"city": "Rome", "unit": "kelvin"}, "unit: Input should be 'celsius' or 'fahrenheit'."),
        ({"city": "Rome", "__proto__": {}}, "__proto__: Extra inputs are not permitted."),
    ],
)
async def test_arguments_that_do_not_fit_never_reach_the_function(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ToolFailure) as raised:
        await run(weather, **arguments)
    assert str(raised.value) == complaint


async def test_what_the_model_leaves_out_is_the_functions_own_default() -> None:
    marker = object()

    def give(value: Any = marker) -> bool:
        return value is marker

    assert await run(give) is True
    assert await run(give, value=None) is False


async def test_the_context_is_filled_in_and_not_shown() -> None:
    async def where(context: ToolContext, name: str) -> str:
        return f"{name} {context.block_id} {context.tool_call_id}"

    assert list(tool_from(where).spec.input_schema["properties"]) == ["name"]
    assert await run(where, name="I") == "I b1 call-1"
    with pytest.raises(ToolFailure, match=r"^context: Extra inputs are not permitted\.$"):
        await run(where, name="I", context={"block_id": "b2", "tool_call_id": "c"})


async def test_plain_functions_run_in_a_thread_and_async_ones_do_not() -> None:
    def plain() -> bool:
        return current_thread() is main_thread()

    async def not_so_plain() -> bool:
        return current_thread() is main_thread()

    assert await run(plain) is False
    assert await run(not_so_plain) is True


async def test_a_generator_yields_one_output_after_the_other() -> None:
    async def count_up(to: int) -> AsyncIterator[dict[str, int]]:
        for number in range(to):
            yield {"reached": number}

    execute = tool_from(count_up).execute
    assert execute is not None
    outputs = [output async for output in execute({"to": 3}, CONTEXT)]  # type: ignore[union-attr]
    assert outputs == [{"reached": 0}, {"reached": 1}, {"reached": 2}]
    with pytest.raises(ToolFailure, match=r"^to: Field required\.$"):
        [output async for output in execute({}, CONTEXT)]  # type: ignore[union-attr]


async def test_what_comes_back_is_json() -> None:
    def answer() -> Answer:
        return Answer(date(2026, 11, 21), [Place(name="Rome")])

    def with_file() -> ToolOutput:
        return ToolOutput({"when": date(2026, 11, 21), "odd": float("nan")}, files=(ToolFile("text/plain", b"x"),))

    def no_json() -> object:
        return object()

    assert await run(answer) == {"when": "2026-11-21", "places": [{"name": "Rome"}]}
    assert await run(with_file) == ToolOutput(
        {"when": "2026-11-21", "odd": "NaN"}, files=(ToolFile("text/plain", b"x"),)
    )
    with pytest.raises(ToolFailure, match=r"^The tool returned a object that cannot be written as JSON\.$"):
        await run(no_json)


async def test_what_may_have_no_end_is_not_waited_for() -> None:
    def numbers() -> Iterator[int]:
        return count()

    def squares() -> ToolOutput:
        return ToolOutput(number**2 for number in count())

    with pytest.raises(ToolFailure, match=r"^The tool returned a count that cannot be written as JSON\.$"):
        await run(numbers)
    with pytest.raises(ToolFailure, match=r"^The tool returned a generator that cannot be written as JSON\.$"):
        await run(squares)


async def test_what_a_function_raises_is_raised_and_nothing_ends_the_server() -> None:
    def refuse() -> None:
        raise ToolFailure("There is no such city.")

    def leave() -> None:
        sys.exit(3)

    def stop() -> None:
        raise StopIteration

    with pytest.raises(ToolFailure, match=r"^There is no such city\.$"):
        await run(refuse)
    with pytest.raises(RuntimeError, match="SystemExit"):
        await run(leave)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await run(stop)


async def test_a_call_that_is_given_up_does_not_wait_for_its_thread() -> None:
    import threading

    begun, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go_on.wait()

    task = asyncio.create_task(run(hang))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()


def several(*names: str) -> None: ...
def any_key(**keys: str) -> None: ...
def by_place(a: str, /) -> None: ...
def unreadable(a: Nothing) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def no_type(a: asyncio.Lock) -> None: ...
def größe() -> None: ...
def generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (several, "has a parameter *names, which cannot be named in a call"),
        (any_key, "has a parameter **keys, which cannot be named in a call"),
        (by_place, "has a parameter a, which cannot be named in a call"),
        (unreadable, "has a type hint that cannot be read (NameError)"),
        (no_type, "has a parameter whose type cannot come from JSON (PydanticSchemaGenerationError)"),
        (größe, "has a name that no service takes: at most 64 of A-Z, a-z, 0-9 and _"),
        (generator, "is a generator; one that shows preliminary outputs must be `async def`"),
    ],
)
def test_what_cannot_be_a_tool_says_why(function: Callable[..., Any], reason: str) -> None:
    with pytest.raises(NotATool) as raised:
        tool_from(function)
    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("text", "description", "arguments"),
    [
        ("", "", {}),
        ("One line.", "One line.", {}),
        ("Args:\n    a: first", "", {"a": "first"}),
        (
            "Do.\n\nArgs:\n    a: first:\n        second\n    b (int): x\n\nRaises:\n    c: no",
            "Do.",
            {"a": "first: second", "b": "x"},
        ),
        ("See Args: below.\n\nNote: nothing", "See Args: below.\n\nNote: nothing", {}),
        ("Do.\n\nArgs:\n    nothing that has a colon", "Do.", {}),
    ],
)
def test_docstrings_are_read_as_people_write_them(text: str, description: str, arguments: dict[str, str]) -> None:
    assert read_docstring(text) == (description, arguments)


def test_a_tool_can_wait_as_long_as_it_is_told() -> None:
    assert isinstance(tool_from(weather, timeout=5), Tool)
    assert tool_from(weather, timeout=5).timeout == 5
