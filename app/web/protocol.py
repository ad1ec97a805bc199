"""uvicorn's HTTP/1.1, with our own answer to what is no HTTP: it never reaches the application."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.wire.json import dump_json

_BODY = dump_json(
    {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "code": "invalid_http",
            "message": "This is not a valid HTTP request.",
            "param": None,
        },
        "request_id": "",
    }
)
_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
    b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n\r\n%b" % (len(_BODY), _BODY)
)


class HttpProtocol(HttpToolsProtocol):
    def send_400_response(self, msg: str) -> None:
        self.transport.write(_ANSWER)
        self.transport.close()
