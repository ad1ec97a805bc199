"""Vectors of texts, from services that answer `POST /embeddings` as OpenAI does; Google's adapter is with its chats."""
