"""Much work is done in a thread, so that everybody else is served meanwhile; a little is done where it stands."""

from __future__ import annotations

from threading import get_ident

import pytest

from app.chat.apart import MANY_PARTS, are_many
from app.core.messages import parse_messages
from app.core.model import TurnRequest
from tests.chat.scripted import ScriptedProvider, saying

pytestmark = pytest.mark.anyio

PNG = "data:image/png;base64,iVBORw0KGgo="


class Asked:
    """What a model takes; notes in which threads that is asked, which is where prompts are made."""

    def __init__(self):
        self.threads = set()

    def __contains__(self, media_type):
        self.threads.add(get_ident())
        return True


def history(parts):
    picture = {"type": "file", "mediaType": "image/png", "url": PNG}
    return parse_messages([{"id": "u1", "role": "user", "parts": [*[{"type": "text", "text": "x"}] * parts, picture]}])


@pytest.mark.parametrize(("parts", "elsewhere"), [(1, False), (MANY_PARTS, True)])
async def test_the_prompt_of_a_long_history_is_made_in_a_thread(house, parts, elsewhere):
    provider = ScriptedProvider(*saying("Hi."))
    provider.takes = Asked()
    await house.events(await house.turns(provider).begin("b", TurnRequest(history(parts))))
    assert (get_ident() not in provider.takes.threads) == elsewhere


def test_it_is_the_parts_that_make_the_work():
    assert not are_many(history(MANY_PARTS - 1))
    assert are_many(history(MANY_PARTS))
