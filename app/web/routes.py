"""Every URL on one screen."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Mount, Route

from app.web import (
    auth,
    blocks_api,
    branches_api,
    chat_api,
    conversations_api,
    files_api,
    health,
    pages,
    tools_api,
    transfer_api,
    usage_api,
)
from app.web.static import HashedFiles


def routes(static_folder: Path) -> list[Route | Mount]:
    chat = "/api/ai/chat/{block_id}"
    conversations = "/api/ai/conversations"
    return [
        Route(chat, chat_api.post_chat, methods=["POST"]),
        Route(chat, chat_api.get_stream_by_query, methods=["GET"]),
        Route(chat + "/stream", chat_api.get_stream, methods=["GET"]),
        Route(chat + "/{chat_id:path}/stream", chat_api.get_stream, methods=["GET"]),
        Route(chat + "/stop", chat_api.post_stop, methods=["POST"]),
        Route(chat + "/{chat_id:path}/stop", chat_api.post_stop, methods=["POST"]),
        Route(conversations, conversations_api.list_conversations, methods=["GET"]),
        Route(conversations + "/import", transfer_api.post_import, methods=["POST"]),
        Route(conversations + "/{block_id}", conversations_api.get_conversation, methods=["GET"]),
        Route(conversations + "/{block_id}", conversations_api.post_conversation, methods=["POST"]),
        Route(conversations + "/{block_id}", conversations_api.delete_conversation, methods=["DELETE"]),
        Route(conversations + "/{block_id}/branches", branches_api.get_branches, methods=["GET"]),
        Route(conversations + "/{block_id}/branches", branches_api.post_branch, methods=["POST"]),
        Route(conversations + "/{block_id}/fork", branches_api.post_fork, methods=["POST"]),
        Route(conversations + "/{block_id}/export", transfer_api.get_export, methods=["GET"]),
        Route("/api/ai/blocks/{block_id}", blocks_api.get_block, methods=["GET"]),
        Route("/api/ai/blocks/{block_id}", blocks_api.patch_block, methods=["PATCH"]),
        Route("/api/ai/presets", blocks_api.get_presets, methods=["GET"]),
        Route("/api/ai/resolve/{block_id}", blocks_api.get_resolve, methods=["GET"]),
        Route("/api/ai/tools", tools_api.get_tools, methods=["GET"]),
        Route("/api/ai/usage", usage_api.get_usage, methods=["GET"]),
        Route("/files/{id}", files_api.get_file, methods=["GET"]),
        Route("/health", health.get_health, methods=["GET"]),
        Route("/health/ready", health.get_ready, methods=["GET"]),
        Route("/login", auth.get_login, methods=["GET"]),
        Route("/login", auth.post_login, methods=["POST"]),
        Route("/logout", auth.post_logout, methods=["POST"]),
        Route("/", pages.get_home, methods=["GET"]),
        Route("/c/{block_id}", pages.get_conversation_page, methods=["GET"]),
        Route("/c/{block_id}", pages.post_turn, methods=["POST"]),
        Route("/c/{block_id}/stream", pages.get_turn_stream, methods=["GET"]),
        Mount("/static", HashedFiles(directory=static_folder)),
    ]
