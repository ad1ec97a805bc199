"""Which stream format a client gets: what it asks for, else what its request gives away."""

from __future__ import annotations

from app.core.errors import InvalidRequest
from app.core.ports import Encoder
from app.wire.ai_sdk import AiSdkEncoder
from app.wire.ai_sdk_v4 import DataStreamEncoder
from app.wire.text import TextEncoder
from app.wire.wave import WaveEncoder

APPROVALS_SINCE = (6,)

PROTOCOLS = ("ui", "data", "text", "wave")


def choose_encoder(protocol: str | None, sdk: str | None, *, is_v4: bool, shows_approvals: bool = False) -> Encoder:
    """The encoder for one response.

    Args:
        protocol: `?protocol=` or `X-Stream-Protocol`.
        sdk: the AI SDK's version as the app declares it by `?sdk=` or `X-AI-SDK`: `6`, `5.0.277`.
        is_v4: the request can only be SDK 4's.
        shows_approvals: the request can only be that of a version which knows requests for approval.

    Raises:
        InvalidRequest: an unknown protocol, or a version that is none.
    """
    version = _version(sdk)
    if protocol is None:
        protocol = "data" if is_v4 or (version is not None and version[0] == 4) else "ui"
    match protocol:
        case "ui":
            return AiSdkEncoder(version or (APPROVALS_SINCE if shows_approvals else (5,)))
        case "data":
            return DataStreamEncoder()
        case "text":
            return TextEncoder()
        case "wave":
            return WaveEncoder()
        case _:
            raise InvalidRequest(f"`protocol` must be one of {', '.join(PROTOCOLS)}.", param="protocol")


def knows_approvals(protocol: str | None, sdk: str | None) -> bool:
    """Whether the app declares a version that has requests for approval, in a format that has them.

    Raises:
        InvalidRequest: the version is none.
    """
    version = _version(sdk)
    return protocol in (None, "ui") and version is not None and version >= APPROVALS_SINCE


def _version(sdk: str | None) -> tuple[int, ...] | None:
    if sdk is None:
        return None
    numbers = sdk.split(".")
    if len(numbers) > 3 or not all(number.isascii() and number.isdigit() and len(number) < 6 for number in numbers):
        raise InvalidRequest("`sdk` must be a version of the AI SDK, such as 6 or 5.0.277.", param="sdk")
    return tuple(int(number) for number in numbers)
