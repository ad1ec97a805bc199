from __future__ import annotations

import subprocess
import sys

import pytest

IMPORTED = "print(*sorted({'anthropic', 'openai', 'httpx2', 'websockets'} & set(sys.modules)))"
ECHO = """
async def main():
    registry = Registry({'ANTHROPIC_API_KEY': 'k', 'OPENAI_API_KEY': 'k'})
    registry.open(Preset('a', 'anthropic')), registry.open(Preset('b', 'openai'))
    async for batch in registry.open(Preset('c', 'echo')).stream(ModelRequest('echo', ())):
        break
    await registry.close()
asyncio.run(main())
"""
IMPORTS = """
import asyncio, sys
from app.core.model import ModelRequest, Preset
from app.providers.registry import Registry
"""


@pytest.mark.parametrize("code", ["import app.providers.discover\n", "", ECHO], ids=["discover", "import", "use"])
def test_no_sdk_is_imported_before_a_model_is_asked(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS + code + IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
