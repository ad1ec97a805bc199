"""Every URL on one screen."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Route

from app.web import (
    anthropic_api,
    auth,
    block_page,
    blocks_api,
    branches_api,
    chat_api,
    conversations_api,
    embeddings_api,
    files_api,
    gateway_keys,
    health,
    keys_page,
    message_page,
    messages_api,
    models_api,
    openai_api,
    options_page,
    pages,
    prompts_api,
    prompts_page,
    search_api,
    settings_page,
    share_api,
    share_page,
    temporary,
    tools_api,
    transfer_api,
    transfer_page,
    usage_api,
    usage_page,
)
from app.web.static import static_files


def routes(static_folder: Path) -> list[Route]:
    return [*_conversations(), *_services(), *_gateway(), *_pages(), _static(static_folder)]


def _static(folder: Path) -> Route:
    return Route("/static/{path:path}", static_files(folder), methods=["GET"])


def _conversations() -> list[Route]:
    chat = "/api/ai/chat/{block_id}"
    conversations = "/api/ai/conversations"
    message = conversations + "/{block_id}/messages/{message_id:path}"
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
        Route(conversations + "/{block_id}/trash", conversations_api.post_trash, methods=["POST"]),
        Route(conversations + "/{block_id}/restore", conversations_api.post_restore, methods=["POST"]),
        Route(conversations + "/{block_id}/branches", branches_api.get_branches, methods=["GET"]),
        Route(conversations + "/{block_id}/branches", branches_api.post_branch, methods=["POST"]),
        Route(conversations + "/{block_id}/fork", branches_api.post_fork, methods=["POST"]),
        Route(conversations + "/{block_id}/feedback", messages_api.get_feedback, methods=["GET"]),
        Route(message + "/feedback", messages_api.put_feedback, methods=["PUT"]),
        Route(message + "/feedback", messages_api.delete_feedback, methods=["DELETE"]),
        Route(message + "/trash", messages_api.post_trash, methods=["POST"]),
        Route(message + "/restore", messages_api.post_restore, methods=["POST"]),
        Route(message, messages_api.get_message, methods=["GET"]),
        Route(message, messages_api.delete_message, methods=["DELETE"]),
        Route(conversations + "/{block_id}/export", transfer_api.get_export, methods=["GET"]),
        Route(conversations + "/{block_id}/shares", share_api.get_shares, methods=["GET"]),
        Route(conversations + "/{block_id}/shares", share_api.post_share, methods=["POST"]),
        Route(conversations + "/{block_id}/shares/{token}", share_api.delete_share, methods=["DELETE"]),
    ]


def _services() -> list[Route]:
    """What programs use beside conversations."""
    templates = "/api/ai/templates"
    return [
        Route("/api/ai/export", transfer_api.get_export_of_all, methods=["GET"]),
        Route("/api/ai/blocks/{block_id}", blocks_api.get_block, methods=["GET"]),
        Route("/api/ai/blocks/{block_id}", blocks_api.patch_block, methods=["PATCH"]),
        Route("/api/ai/presets", blocks_api.get_presets, methods=["GET"]),
        Route("/api/ai/resolve/{block_id}", blocks_api.get_resolve, methods=["GET"]),
        Route(templates, prompts_api.get_templates, methods=["GET"]),
        Route(templates + "/export", prompts_api.get_export, methods=["GET"]),
        Route(templates + "/import", prompts_api.post_import, methods=["POST"]),
        Route(templates + "/{name}", prompts_api.get_template, methods=["GET"]),
        Route(templates + "/{name}", prompts_api.put_template, methods=["PUT"]),
        Route(templates + "/{name}", prompts_api.delete_template, methods=["DELETE"]),
        Route(templates + "/{name}/versions", prompts_api.get_versions, methods=["GET"]),
        Route(templates + "/{name}/render", prompts_api.post_render, methods=["POST"]),
        Route("/api/ai/feedback", messages_api.list_feedback, methods=["GET"]),
        Route("/api/ai/tools", tools_api.get_tools, methods=["GET"]),
        Route("/api/ai/usage", usage_api.get_usage, methods=["GET"]),
        Route("/api/ai/search/index", search_api.get_index, methods=["GET"]),
        Route("/api/ai/search/index", search_api.post_index, methods=["POST"]),
        Route("/api/ai/keys", gateway_keys.get_keys, methods=["GET"]),
        Route("/api/ai/keys", gateway_keys.post_key, methods=["POST"]),
        Route("/api/ai/keys/{id}", gateway_keys.delete_key, methods=["DELETE"]),
        Route("/api/ai/files", files_api.post_file, methods=["POST"]),
        Route("/files/{id}", files_api.get_file, methods=["GET"]),
        Route("/health", health.get_health, methods=["GET"]),
        Route("/health/ready", health.get_ready, methods=["GET"]),
        Route("/api/ai/presets/{preset}/check", settings_page.get_preset_check, methods=["GET"]),
    ]


def _gateway() -> list[Route]:
    """What other APIs have at these addresses. The keys of the gateway stand before all of it."""
    endpoints: tuple[tuple[str, str, gateway_keys.Endpoint], ...] = (
        ("POST", "/v1/messages", anthropic_api.post_message),
        ("POST", "/v1/messages/stream", anthropic_api.post_message_stream),
        ("POST", "/v1/messages/count_tokens", anthropic_api.post_count_tokens),
        ("GET", "/v1/models", models_api.get_models),
        ("GET", "/v1/models/{model:path}", models_api.get_model),
        ("POST", "/v1/chat/completions", openai_api.post_chat_completion),
        ("POST", "/v1/responses", openai_api.post_response),
        ("POST", "/v1/embeddings", embeddings_api.post_embeddings),
    )
    return [Route(path, gateway_keys.with_key(endpoint), methods=[method]) for method, path, endpoint in endpoints]


def _pages() -> list[Route]:
    return [
        Route("/login", auth.get_login, methods=["GET"]),
        Route("/login", auth.post_login, methods=["POST"]),
        Route("/logout", auth.post_logout, methods=["POST"]),
        Route("/", pages.get_home, methods=["GET"]),
        Route("/c/{block_id}", pages.get_conversation_page, methods=["GET"]),
        Route("/c/{block_id}", pages.post_turn, methods=["POST"]),
        Route("/c/{block_id}/stream", pages.get_turn_stream, methods=["GET"]),
        Route("/c/{block_id}/stop", pages.post_stop, methods=["POST"]),
        Route("/temporary", temporary.get_temporary, methods=["GET"]),
        Route("/temporary/{block_id}", temporary.get_temporary, methods=["GET"]),
        Route("/temporary/{block_id}", temporary.post_temporary, methods=["POST"]),
        Route("/c/{block_id}/message", message_page.get_message_page, methods=["GET"]),
        Route("/c/{block_id}/message", message_page.post_message_page, methods=["POST"]),
        Route("/c/{block_id}/options", options_page.get_options, methods=["GET"]),
        Route("/c/{block_id}/options", options_page.post_options, methods=["POST"]),
        Route("/c/{block_id}/settings", block_page.get_block_page, methods=["GET"]),
        Route("/c/{block_id}/settings", block_page.post_block_page, methods=["POST"]),
        Route("/settings", settings_page.get_settings_page, methods=["GET"]),
        Route("/settings/keys", keys_page.get_keys_page, methods=["GET"]),
        Route("/settings/keys", keys_page.post_keys_page, methods=["POST"]),
        Route("/settings/tools", settings_page.get_settings_tools, methods=["GET"]),
        Route("/usage", usage_page.get_usage_page, methods=["GET"]),
        Route("/c/{block_id}/share", share_page.get_sharing, methods=["GET"]),
        Route("/c/{block_id}/share", share_page.post_sharing, methods=["POST"]),
        Route("/share/{token}", share_page.get_shared, methods=["GET"]),
        Route("/share/{token}/files/{id}", share_page.get_shared_file, methods=["GET"]),
        Route("/transfer", transfer_page.get_transfer, methods=["GET"]),
        Route("/transfer", transfer_page.post_transfer, methods=["POST"]),
        Route("/templates", prompts_page.get_list, methods=["GET"]),
        Route("/templates/new", prompts_page.get_new, methods=["GET"]),
        Route("/templates/new", prompts_page.post_new, methods=["POST"]),
        Route("/templates/preview", prompts_page.post_preview, methods=["POST"]),
        Route("/templates/use", prompts_page.post_use, methods=["POST"]),
        Route("/templates/examples", prompts_page.post_examples, methods=["POST"]),
        Route("/templates/import", prompts_page.post_import, methods=["POST"]),
        Route("/templates/{name}", prompts_page.get_editor, methods=["GET"]),
        Route("/templates/{name}", prompts_page.post_editor, methods=["POST"]),
    ]
