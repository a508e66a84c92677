"""A server of HTTP/2 without TLS for tests: a function answers each request when its body has ended. By the h2 package."""
import contextlib
import socket
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings


class Call:
    """One request: headers (with the pseudo ones) and its body."""

    def __init__(self, headers):
        self.headers, self.body = dict(headers), b""


class H2Server:
    """`script(call, number)` gives (headers, body, trailers), each of which may be empty; None: no answer. A tunnel
    (extended CONNECT) is answered 200, and its bytes come back."""

    def __init__(self, script=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.script, self.calls, self.connections = script, [], 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        open_calls = {}
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError), peer:
            peer.settimeout(30)
            conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
            wanted = {**conn.local_settings, h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
            conn.local_settings = h2.settings.Settings(client=False, initial_values=wanted)
            conn.initiate_connection()
            peer.sendall(conn.data_to_send())
            while data := peer.recv(65536):
                for event in conn.receive_data(data):
                    self.on_event(conn, event, open_calls)
                peer.sendall(conn.data_to_send())

    def on_event(self, conn, event, open_calls):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            open_calls[stream] = Call(event.headers)
            if open_calls[stream].headers[":method"] == "CONNECT":
                with self.lock:
                    self.calls.append(open_calls[stream])
                conn.send_headers(stream, [(":status", "200")])
        elif isinstance(event, h2.events.DataReceived):
            conn.acknowledge_received_data(event.flow_controlled_length, stream)
            open_calls[stream].body += event.data
            if open_calls[stream].headers[":method"] == "CONNECT":
                conn.send_data(stream, event.data)
        elif isinstance(event, h2.events.StreamEnded):
            call = open_calls.pop(stream)
            if call.headers[":method"] == "CONNECT":
                conn.end_stream(stream)
                return
            with self.lock:
                self.calls.append(call)
                number = len(self.calls)
            self.answer(conn, stream, self.script(call, number))

    def answer(self, conn, stream, answer):
        if answer is None:
            return
        headers, body, trailers = answer
        conn.send_headers(stream, [(":status", "200"), *headers], end_stream=not body and not trailers)
        if body:
            conn.send_data(stream, body, end_stream=not trailers)
        if trailers:
            conn.send_headers(stream, trailers, end_stream=True)

    def close(self):
        self.listener.close()
