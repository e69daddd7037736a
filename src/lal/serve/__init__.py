"""The exported model behind HTTP: OpenAI's protocol, a chat page, a request log, metrics."""
