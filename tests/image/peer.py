"""What the server in the image talks to: a worker on port 9000, and a name server that knows it.

It listens on loopback of the network that it is started in, and writes "ready" when it does.
"""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = b"\x05agent\x03dns\x04test\x00"  # agent.dns.test


class Worker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})

    def do_POST(self):
        task = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer({"output": task["prompt"].upper(), "status": self.headers["host"]})

    def answer(self, result):
        body = json.dumps(result).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def answer_names(names):
    """RFC 1035: an A record for NAME; no such name (3) for others, and no record for other types."""
    while True:
        query, client = names.recvfrom(512)
        question = query[12 : query.index(b"\x00", 12) + 5]
        known = question[:-4].lower() == NAME
        is_a = known and question[-4:-2] == b"\x00\x01"
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x7f\x00\x00\x01" if is_a else b""
        flags = b"\x85\x80" if known else b"\x85\x83"
        counts = b"\x00\x01" + (b"\x00\x01" if is_a else b"\x00\x00") + b"\x00\x00\x00\x00"
        names.sendto(query[:2] + flags + counts + question + record, client)


names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.53", 53))
threading.Thread(target=answer_names, args=(names,), daemon=True).start()
worker = ThreadingHTTPServer(("127.0.0.1", 9000), Worker)
print("ready", flush=True)
worker.serve_forever()
