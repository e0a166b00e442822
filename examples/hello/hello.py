#!/usr/bin/env python3
"""An application as small as it can be and still be deployed without a lost request."""
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRAIN_SECONDS = 3
draining = threading.Event()


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_GET(self):
        name = os.environ.get("APP_COLOR", "none")
        version = os.environ.get("APP_VERSION", "0")
        if self.path == "/ready":
            self.say(503 if draining.is_set() else 200, "text/plain", "draining" if draining.is_set() else "ready")
        elif self.path == "/health":
            self.say(200, "text/plain", "ok")
        elif self.path == "/version":
            self.say(200, "application/json", json.dumps({"version": version, "color": name}))
        elif self.path == "/":
            self.say(200, "text/html", f"<title>Hello</title><p>Hello from {version}.\n")
        else:
            self.say(404, "text/plain", "there is nothing here")

    def say(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if draining.is_set():
            self.send_header("Connection", "close")  # who keeps a connection comes back elsewhere
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "3000"))), Hello)


def leave(*_):
    draining.set()
    threading.Thread(target=lambda: (time.sleep(DRAIN_SECONDS), server.shutdown())).start()


signal.signal(signal.SIGTERM, leave)
server.serve_forever()
