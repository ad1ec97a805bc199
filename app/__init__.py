"""Palaver: a self-hosted, realtime AI chat server."""

from __future__ import annotations

__version__ = "0.1.0"
