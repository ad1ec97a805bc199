"""OpenAI's chat completions, which most of the world speaks."""
