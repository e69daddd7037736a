"""A model behind a real HTTP server of a few lines, speaking as much of OpenAI's chat protocol as `parity` asks for."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lal.model.folder import LoadedModel
from lal.model.generate import generate_batch, next_token_logits
from lal.records import Message
from lal.text.chat import render_prompt
from lal.text.tokenizer import CONTROL_TOKENS

Reply = Callable[[dict[str, Any]], dict[str, Any]]


def answering(loaded: LoadedModel) -> Reply:
    """What a good server says."""
    tokenizer, model = loaded.tokenizer, loaded.model

    def named(token_id: int, logprob: float) -> dict[str, Any]:
        piece = tokenizer.token_bytes(token_id)
        name = piece.decode("utf-8", "replace") or CONTROL_TOKENS[token_id - tokenizer.end_id]
        return {"token": name, "logprob": logprob, "bytes": list(piece) or None}

    def reply(body: dict[str, Any]) -> dict[str, Any]:
        assert body["model"] == "lal"
        assert body["temperature"] == 0
        ids = render_prompt([Message(**each) for each in body["messages"]], tokenizer)
        (answer,) = generate_batch(model, [ids], body["max_tokens"], tokenizer.end_id)
        logprobs = None
        if body.get("logprobs"):
            odds = next_token_logits(model, ids).log_softmax(dim=-1)
            top = odds.topk(body["top_logprobs"])
            others = [named(i, value) for i, value in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
            logprobs = {"content": [others[0] | {"top_logprobs": others}] if answer.ids else []}
        message = {"role": "assistant", "content": tokenizer.decode(answer.ids)}
        choice = {"message": message, "finish_reason": answer.finish_reason, "logprobs": logprobs}
        return {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": len(answer.ids)}}

    return reply


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_right = self.path == "/v1/chat/completions"
        content = json.dumps(self.server.reply(body) if is_right else {"error": self.path}).encode()
        self.send_response(200 if is_right else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, reply: Reply) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply


@contextlib.contextmanager
def running(reply: Reply) -> Iterator[str]:
    """Lends the server's address, with /v1."""
    server = _Server(reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
