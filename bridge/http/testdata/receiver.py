# A receiver as somebody else would write it: Python's own HTTP server, gzip and json. It takes array,
# NDJSON and single bodies, remembers idempotency keys and message ids, and answers every batch with what
# was new in it. GET /taken gives the ids with their payloads, in the order of their arrival.
import gzip
import http.server
import json
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    taken = []
    ids = set()
    keys = set()
    repeats = 0

    def do_GET(self):
        self.reply(200, {"taken": self.taken, "repeats": Receiver.repeats})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        kind = self.headers["Content-Type"]
        if self.headers.get("Sluice-Id"):
            messages = [{"id": self.headers["Sluice-Id"], "payload": json.loads(body)}]
        elif kind == "application/x-ndjson":
            messages = [json.loads(line) for line in body.decode().splitlines()]
        elif kind == "application/json":
            messages = json.loads(body)
        else:
            return self.reply(415, {"error": "what is " + kind + "?"})
        key = self.headers["Idempotency-Key"]
        if key in Receiver.keys:
            Receiver.repeats += 1
        Receiver.keys.add(key)
        for m in messages:
            if m["payload"].get("refuse"):
                return self.reply(422, {"error": "not that one"})
        for m in messages:
            if m["id"] not in Receiver.ids:
                Receiver.ids.add(m["id"])
                Receiver.taken.append([m["id"], m["payload"]])
        self.reply(200, {})

    def reply(self, status, what):
        text = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
sys.stdin.close()
server.serve_forever()
