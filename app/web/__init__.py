"""HTTP. The only place with Starlette."""
