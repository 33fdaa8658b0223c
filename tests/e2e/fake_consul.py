# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A Consul that can misbehave: enough of its HTTP API on a Unix socket, which network namespaces
do not divide, and faults that a real one does not produce on demand."""

import base64
import http.server
import json
import socketserver
import threading
import time
import urllib.parse


def instance(number, address, port, frontends=None, status="passing", weight=1, **service):
    """One entry of /v1/health/service/NAME."""
    meta = {"fairlead-frontends": frontends} if frontends else {}
    return {
        "Node": {"ID": "", "Node": f"n{number}", "Address": "192.0.2.254", "Meta": {"zone": "a"}},
        "Service": {"ID": f"web-{number}", "Service": "web", "Address": address, "Port": port,
                    "Meta": meta, "Weights": {"Passing": weight, "Warning": 1}, **service},
        "Checks": [{"CheckID": f"service:web-{number}", "Status": status}],
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def do_GET(self):
        fake = self.server.fake
        path = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(path.query, keep_blank_values=True)
        with fake.changed:
            fake.asked.append((path.path, query))
        fault = fake.wait(path.path, query)
        try:
            if fault:
                fault(self, path.path)
            else:
                self.answer(*fake.state(path.path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_PUT(self):  # what a registry writes is not this one's story
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200, "true", 1)

    def answer(self, status, body, index=None, **headers):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if index is not None:
            self.send_header("X-Consul-Index", str(index))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


class FakeConsul:
    """services: {name: [entries]}; kv: {key: bytes}. Faults: {path: function(handler, path)}."""

    def __init__(self, socket_path):
        self.changed = threading.Condition()
        self.services, self.kv, self.faults, self.asked = {}, {}, {}, []
        self.index = 10
        self.socket_path = str(socket_path)
        self.server = Server(self.socket_path, Handler)
        self.server.fake = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ------------------------------------------------------------------ what is known

    def put(self, name, entries, index=None):
        """Set a service's instances; index: instead of the next one."""
        with self.changed:
            self.services[name] = entries
            self.index = index or self.index + 1
            self.changed.notify_all()

    def define(self, key, value):
        """Set (or with None delete) a key of the store."""
        with self.changed:
            self.kv.pop(key, None)
            if value is not None:
                self.kv[key] = value.encode()
            self.index += 1
            self.changed.notify_all()

    def fault(self, path, function):
        """From now on this is what becomes of questions there; None: they are answered again."""
        with self.changed:
            self.faults.pop(path, None)
            if function:
                self.faults[path] = function
            self.changed.notify_all()

    def questions(self, path):
        with self.changed:
            return [query for asked, query in self.asked if asked == path]

    # ------------------------------------------------------------------ what is said

    def wait(self, path, query):
        """Until there is something new, as blocking queries do. Returns the fault, if any."""
        index = int(query.get("index", ["0"])[0])
        wait_ms = int(query.get("wait", ["0ms"])[0].removesuffix("ms"))
        deadline = time.monotonic() + wait_ms / 1000
        with self.changed:
            while (index and self.index <= index and path not in self.faults
                   and time.monotonic() < deadline):
                self.changed.wait(deadline - time.monotonic())
            return self.faults.get(path)

    def state(self, path):
        """(status, body, index)"""
        with self.changed:
            if path == "/v1/catalog/services":
                return 200, json.dumps({name: [] for name in self.services}), self.index
            if path.startswith("/v1/health/service/"):
                name = urllib.parse.unquote(path.removeprefix("/v1/health/service/"))
                return 200, json.dumps(self.services.get(name, [])), self.index
            if path.startswith("/v1/kv/"):
                found = [{"Key": key, "Value": base64.b64encode(value).decode(), "Flags": 0}
                         for key, value in self.kv.items()
                         if key.startswith(path.removeprefix("/v1/kv/"))]
                return (200, json.dumps(found), self.index) if found else (404, "", self.index)
            return 200, "{}", 1
