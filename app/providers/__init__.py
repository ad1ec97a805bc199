"""Model services. The only place with SDKs."""
