"""A fast model service for measurements: chat completions whose deltas come at a fixed pace, or all at once.

Run as `python -m bench.upstream`; it prints its address. The model says what to send: `paced-<deltas>-<per second>`.
"""

from __future__ import annotations

import asyncio
import json

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    value = {"id": "bench", "object": "chat.completion.chunk", "created": 1, "model": "bench", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DELTA = _chunk(_event({"content": " token"}))
END = _chunk(_event({}, "stop") + b'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}\n\n')


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            model = json.loads(await reader.readexactly(length))["model"]
            _, count, rate = model.split("-")
            writer.write(_HEAD + _chunk(_event({"role": "assistant", "content": ""})))
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for number in range(int(count)):
                await asyncio.sleep(max(0.0, begun + number / int(rate) - loop.time()))
                writer.write(DELTA)
            writer.write(END + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
