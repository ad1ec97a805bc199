"""The log of a running turn."""
