from __future__ import annotations

import pytest

from app.settings.errors import ConfigurationError
from app.settings.fields import read_base_url


@pytest.mark.parametrize("address", ["wss://wave.example.com/", "ws://127.0.0.1:8080"])
def test_a_service_over_websocket_has_an_address_of_that_kind_and_no_other_has(address: str) -> None:
    assert read_base_url(address, "here", "wave-cloud") == address.rstrip("/")
    with pytest.raises(ConfigurationError, match=r"^here: must be an address such as http://127.0.0.1:8080/v1$"):
        read_base_url(address, "here", "openai-chat")


def test_a_service_over_websocket_has_no_web_address() -> None:
    with pytest.raises(ConfigurationError, match=r"^here: must be an address such as ws://127.0.0.1:8080/v1$"):
        read_base_url("https://wave.example.com", "here", "wave-cloud")
