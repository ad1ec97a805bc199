"""Wire formats: bytes to values, events to bytes. Pure."""
