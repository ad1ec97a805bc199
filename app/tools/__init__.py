"""Tools that the server has: built-in ones, functions of own modules, those of MCP servers."""
