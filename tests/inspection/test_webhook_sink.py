"""The webhook, against a receiver of this process."""

from __future__ import annotations

import http.server
import threading

import pytest

from dense.errors import InputError
from dense.inspection.secrets import Secrets
from dense.inspection.sinks import DeliveryError, open_sink
from dense.inspection.sinks.webhook import WebhookSink, read_secret, sign
from tests.inspection.line import free_port, message


class Receiver(http.server.BaseHTTPRequestHandler):
    answers: list[int]
    posts: list[tuple[dict[str, str], bytes]]

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append((dict(self.headers), data))
        code = self.answers.pop(0) if self.answers else 204
        self.send_response(code)
        if code in (301, 302):
            self.send_header("Location", "/other")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    handler = type("R", (Receiver,), {"answers": [], "posts": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        handler.url = f"http://127.0.0.1:{server.server_port}/hook?line=3"
        yield handler
        server.shutdown()


def test_signature_is_the_published_one():
    """Test vector of the Standard Webhooks reference libraries."""
    secret = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    got = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert got == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secret_of_another_form():
    assert read_secret("plain words") == b"plain words"
    with pytest.raises(InputError, match="no base64 behind whsec_"):
        read_secret("whsec_???")


def test_posts_the_decision_signed(receiver):
    secrets = Secrets(environment={"DENSE_WEBHOOK_SECRET": "key", "DENSE_WEBHOOK_TOKEN": "tok"})
    sink = open_sink(f"webhook:{receiver.url}#timeout=5", secrets)
    entry = message(1)
    sink.deliver([entry])
    ((headers, data),) = receiver.posts
    assert data == entry.text.encode()
    lower = {name.lower(): value for name, value in headers.items()}
    stamp = lower["webhook-timestamp"]
    assert lower["webhook-signature"] == sign(b"key", entry.id, stamp, data)
    assert lower["webhook-id"] == entry.id and lower["authorization"] == "Bearer tok"
    assert lower["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("code", "refused"),
    [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True), (302, True)],
)
def test_what_answers_mean(receiver, code, refused):
    receiver.answers[:] = [200, code]
    sink = WebhookSink(receiver.url)
    with pytest.raises(DeliveryError, match=f"answers {code}") as caught:
        sink.deliver([message(1), message(2), message(3)])
    assert caught.value.done == 1 and caught.value.refused is refused
    assert len(receiver.posts) == 2  # a redirect is not followed, the third not tried


def test_nobody_there():
    with pytest.raises(DeliveryError, match="no answer") as caught:
        WebhookSink(f"http://127.0.0.1:{free_port()}/").deliver([message(1)])
    assert not caught.value.refused


def test_a_receiver_that_never_answers():
    with http.server.socketserver.TCPServer(("127.0.0.1", 0), None) as silent:
        sink = WebhookSink(f"http://127.0.0.1:{silent.server_address[1]}/", timeout=0.2)
        with pytest.raises(DeliveryError, match="no answer"):
            sink.deliver([message(1)])
