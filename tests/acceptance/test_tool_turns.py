"""Each service's tool dialect through the whole server: what the client sees, what the service gets back."""

from __future__ import annotations

import pytest

from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES
from tests.acceptance.use_chat import UseChat

RAIN = {"city": "Tromsø", "mm": 7.5}
WIND = "Tromsø: 9 m/s"


@pytest.fixture(params=SERVICES)
def service(request):
    return SERVICES[request.param]


def test_two_calls_run_and_go_back_as_the_service_wants_them(service, upstream, palaver, ran):
    asked = calling(1, "rain", "wind", thought="Both — at once.", text="Let me look.")
    told = Said("It rains, and the wind blows.", number=2)
    upstream.reply(*(service.dialect.frames(said) for said in (asked, told, Said("Bye.", number=3))))
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("How is it in Tromsø?")
        answer = chat.last
        ids = chat.call_ids
        stored = chat.stored()
        chat.send("Thanks.")
    first, second, third = (request.json for request in upstream.requests)

    assert sorted(ran()) == ["rain Tromsø", "wind Tromsø"]
    assert [part["type"] for part in answer["parts"]] == [
        *("step-start", "reasoning", "text", "tool-rain", "tool-wind"),
        *("step-start", "text"),
    ]
    assert [part.get("output") for part in answer["parts"][3:5]] == [RAIN, WIND]
    assert answer["parts"][-1]["text"] == "It rains, and the wind blows."
    assert stored[-1]["parts"] == answer["parts"]
    assert stored[-1]["metadata"] == answer["metadata"]

    for body in (first, second, third):
        service.check(body)
    row = service.dialect.prompt
    asked_back = service.dialect.sent_back(asked, [RAIN, WIND], ids)
    assert row(second) == [*row(first), *asked_back]
    assert row(third) == [*row(second), *service.dialect.sent_back(told, []), service.dialect.question("Thanks.")]
