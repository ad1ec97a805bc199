"""One turn of a conversation, from the request to the saved answer."""
