"""Which format a client gets."""

from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest
from app.wire.ai_sdk import AiSdkEncoder
from app.wire.ai_sdk_v4 import DataStreamEncoder
from app.wire.formats import choose_encoder
from app.wire.text import TextEncoder
from app.wire.wave import WaveEncoder


@pytest.mark.parametrize(
    ("protocol", "sdk", "is_v4", "kind"),
    [
        (None, None, False, AiSdkEncoder),
        (None, None, True, DataStreamEncoder),
        (None, "4.3.19", False, DataStreamEncoder),
        (None, "7", False, AiSdkEncoder),
        ("text", None, True, TextEncoder),
        ("wave", None, False, WaveEncoder),
        ("data", "7", False, DataStreamEncoder),
        ("ui", None, True, AiSdkEncoder),
    ],
)
def test_what_is_asked_for_else_what_the_request_gives_away(protocol, sdk, is_v4, kind):
    assert type(choose_encoder(protocol, sdk, is_v4=is_v4)) is kind


@pytest.mark.parametrize(
    ("protocol", "sdk"), [("xml", None), ("", None), (None, "six"), (None, "6.0.0.1"), (None, "-1")]
)
def test_what_does_not_exist_is_refused(protocol, sdk):
    with pytest.raises(InvalidRequest):
        choose_encoder(protocol, sdk, is_v4=False)
