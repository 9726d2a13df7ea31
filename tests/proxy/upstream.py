"""A server whose answer comes in pieces, each when it is told so: what a proxy keeps back does not come.

upstream.py PORT: GET /stream sends three events and its end, each but the first when GET /go was asked.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GO = threading.Semaphore(0)


class Stream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/go":
            GO.release()
            self.send_response(204)
            self.end_headers()
            return
        if self.path != "/stream":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in ("first", "second", "third"):
            self.piece(f"event: task\ndata: {event}\n\n")
            GO.acquire(timeout=20)
        self.wfile.write(b"0\r\n\r\n")

    def piece(self, text):
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stream).serve_forever()
