"""The simple event stream of the original Wave design: five kinds of JSON objects and `[DONE]`.

{"type":"text","text":…}  {"type":"thinking","text":…}
{"type":"tool","id":…,"name":…,"input":…} and, later, {"type":"tool","id":…,"output":… | "error":…};
{"type":"tool","id":…,"approval":…} where the call waits for a yes, which the next POST's messages bring
{"type":"finish","finish_reason":…,"usage":{"prompt_tokens":…,"completion_tokens":…,"total_tokens":…}}
{"type":"error","error":…}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.events import (
    Abort,
    MessageFinish,
    ReasoningDelta,
    StreamError,
    StreamEvent,
    TextDelta,
    ToolApprovalRequest,
    ToolInputAvailable,
    ToolInputError,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
)
from app.wire import sse


class WaveEncoder:
    format = "wave"
    media_type = sse.MEDIA_TYPE
    headers: Mapping[str, str] = sse.HEADERS
    keep_alive = sse.KEEP_ALIVE

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        return b"".join(_frame(event) for event in events)

    def end(self) -> bytes:
        return sse.DONE


def _frame(event: StreamEvent) -> bytes:
    match event:
        case TextDelta(_, delta):
            return sse.frame({"type": "text", "text": delta})
        case ReasoningDelta(_, delta):
            return sse.frame({"type": "thinking", "text": delta})
        case ToolInputAvailable(call_id, name, value):
            return sse.frame({"type": "tool", "id": call_id, "name": name, "input": value})
        case ToolOutputAvailable(call_id, output):
            return b"" if event.preliminary else sse.frame({"type": "tool", "id": call_id, "output": output})
        case ToolInputError(call_id, name, value, text):
            return sse.frame({"type": "tool", "id": call_id, "name": name, "input": value, "error": text})
        case ToolApprovalRequest(call_id, approval_id):
            return sse.frame({"type": "tool", "id": call_id, "approval": approval_id})
        case ToolOutputDenied(call_id):
            return sse.frame({"type": "tool", "id": call_id, "error": "The user did not allow this call."})
        case ToolOutputError(call_id, text):
            return sse.frame({"type": "tool", "id": call_id, "error": text})
        case MessageFinish(reason, usage, _):
            tokens = {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens,
            }
            return sse.frame({"type": "finish", "finish_reason": reason, "usage": tokens})
        case StreamError(text):
            return sse.frame({"type": "error", "error": text})
        case Abort():
            return sse.frame({"type": "finish", "finish_reason": "aborted"})
        case _:
            return b""  # boundaries of messages, steps and parts: this format has none
