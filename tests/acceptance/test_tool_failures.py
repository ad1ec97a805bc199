"""A service that fails in the middle of a tool loop: nothing runs that should not, nothing that was done is lost."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES
from tests.acceptance.use_chat import UseChat
from tests.upstream import Reply, json_reply

ADAPTERS = ("anthropic", "openai", "openai-chat", "google")
END_MARKS = (b'"stop_reason": "', b'"finish_reason": "', b'"response.completed"', b'"finishReason"')
TOLD = Said("It rains, and the wind blows.", number=2)
RAIN = {"city": "Tromsø", "mm": 7.5}
WIND = "Tromsø: 9 m/s"


@pytest.fixture(params=SERVICES)
def service(request):
    return SERVICES[request.param]


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return SERVICES[request.param]


def asking(number=1):
    return calling(number, "rain", "wind", thought="Both — at once.", text="Let me look.")


def test_an_answer_that_is_cut_off_anywhere_in_its_calls_runs_nothing(service, upstream, palaver, ran):
    frames = service.dialect.frames(asking())
    begin = next(place for place, frame in enumerate(frames) if b'"rain"' in frame)
    end = next(place for place, frame in enumerate(frames) if any(mark in frame for mark in END_MARKS))
    assert begin < end
    with palaver(service.preset(upstream)) as client:
        for length in range(begin + 1, end + 1):
            chat = UseChat(client, f"cut-{length}", service.provider)
            upstream.reply([*frames[:length], "cut"], service.dialect.frames(TOLD))
            chat.try_to_send("How is it?")
            assert chat.error
            (_, kept) = chat.stored()
            assert kept["metadata"]["status"] == "error"
            assert not [part for part in kept["parts"] if "output" in part]
            chat.send("And now?")  # with the debris in its history
            assert chat.text == TOLD.text
            service.check(upstream.requests[-1].json)
            assert "tool" not in json.dumps(service.dialect.prompt(upstream.requests[-1].json)[3:])
    assert ran() == []


def test_calls_of_an_answer_that_ran_into_its_limit_do_not_run(service, upstream, palaver, ran):
    upstream.reply(service.dialect.frames(asking(), finish=service.limit), service.dialect.frames(TOLD))
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("How is it?")
        assert chat.last["metadata"]["finishReason"] == "length"
        assert [part["state"] for part in chat.calls] == ["output-error", "output-error"]
        assert len(upstream.requests) == 1
        chat.send("Once more, shorter.")
        service.check(upstream.requests[-1].json)
    assert ran() == []


def test_a_wait_in_the_second_step_is_told_and_the_answer_goes_on(adapter, upstream, palaver, ran):
    busy = json_reply(429, {"error": {"message": "Slow down."}}, {"retry-after": "1"})
    upstream.reply(adapter.dialect.frames(asking()), busy, adapter.dialect.frames(TOLD))
    with palaver(adapter.preset(upstream)) as client:
        chat = UseChat(client, "b1", adapter.provider)
        chat.send("How is it?")
        stored = chat.stored()
    assert [(status["code"], status["seconds"]) for status in chat.passing] == [("retrying", 1)]
    assert chat.text == "Let me look." + TOLD.text
    assert stored[-1]["parts"] == chat.last["parts"]
    assert upstream.requests[1].body == upstream.requests[2].body
    assert sorted(ran()) == ["rain Tromsø", "wind Tromsø"]


def refused():
    return json_reply(400, {"error": {"message": "I do not like this.", "type": "invalid_request_error"}})


def torn(service):
    frames = service.dialect.frames(TOLD)
    return Reply([*frames[: len(frames) // 2], "cut"])


@pytest.mark.parametrize("failure", [lambda service: refused(), torn], ids=["refused", "torn"])
def test_a_failure_in_the_second_step_keeps_what_was_done_and_can_be_gone_on_with(
    failure, adapter, upstream, palaver, ran
):
    upstream.reply(adapter.dialect.frames(asking()), failure(adapter), adapter.dialect.frames(TOLD))
    with palaver(adapter.preset(upstream)) as client:
        chat = UseChat(client, "b1", adapter.provider)
        chat.try_to_send("How is it?")
        assert chat.error
        failed = chat.stored()[-1]
        assert failed["metadata"]["status"] == "error"
        assert [part["output"] for part in failed["parts"] if "output" in part] == [RAIN, WIND]
        chat.reload()
        chat.go_on()
        ids = chat.call_ids
        gone_on = chat.stored()
        upstream.reply(adapter.dialect.frames(Said("Bye.", number=3)))
        chat.send("Thanks.")
    assert len(gone_on) == 2
    assert gone_on[-1]["id"] == failed["id"]
    assert gone_on[-1]["metadata"]["status"] == "complete"
    assert "error" not in gone_on[-1]["metadata"]
    assert gone_on[-1]["parts"] == chat.messages[1]["parts"]
    assert gone_on[-1]["parts"][-1]["text"] == TOLD.text
    last, then = (request.json for request in upstream.requests[-2:])
    adapter.check(last)
    adapter.check(then)
    assert adapter.dialect.prompt(then)[: len(adapter.dialect.prompt(last))] == adapter.dialect.prompt(last)
    row, first = adapter.dialect.prompt(last), adapter.dialect.prompt(upstream.requests[0].json)
    back = adapter.dialect.sent_back(asking(), [RAIN, WIND], ids)
    assert row[: len(first) + len(back)] == [*first, *back]
    assert sorted(ran()) == ["rain Tromsø", "wind Tromsø"]


def test_another_question_after_a_failure_in_the_second_step_has_the_results_before_it(adapter, upstream, palaver):
    upstream.reply(adapter.dialect.frames(asking()), refused(), adapter.dialect.frames(TOLD))
    with palaver(adapter.preset(upstream)) as client:
        chat = UseChat(client, "b1", adapter.provider)
        chat.try_to_send("How is it?")
        assert chat.error
        ids = chat.call_ids
        chat.send("Never mind. And elsewhere?")
    first, _, last = (request.json for request in upstream.requests)
    adapter.check(last)
    before = [*adapter.dialect.prompt(first), *adapter.dialect.sent_back(asking(), [RAIN, WIND], ids)]
    assert adapter.dialect.prompt(last)[: len(before)] == before
