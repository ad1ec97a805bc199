"""`POST /v1/embeddings`: vectors of texts, in OpenAI's words, from whoever the model is of."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.chat.apart import apart
from app.web.body import is_large, read_object
from app.web.deps import State
from app.web.gateway import refused_as_asked, unless_gone
from app.web.gateway_keys import key_of
from app.web.requests import deps_of
from app.wire.openai_embeddings import embeddings_answer, read_embeddings

_MANY_TEXTS = 8
"""So many vectors take some milliseconds to write."""


async def post_embeddings(request: Request[State]) -> Response:
    """A client that leaves ends the requests to the service."""
    body = await read_object(request)
    asked = await apart(await is_large(request), read_embeddings, body)
    embedding = deps_of(request).embeddings.open(asked, key_of(request))
    with refused_as_asked():
        embedded = await unless_gone(
            request, embedding.embed(asked.texts, asked.input_type, dimensions=asked.dimensions, user=asked.user)
        )
    content = await apart(len(asked.texts) > _MANY_TEXTS, embeddings_answer, embedded, embedding.model, asked)
    return Response(content, media_type="application/json")
