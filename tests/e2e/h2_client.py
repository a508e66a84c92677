"""A client of HTTP/2 for tests: one connection, streams one after the other or side by side, tunnels. By the h2 package."""
import socket

import h2.config
import h2.connection
import h2.events
import h2.settings


class Answer:
    def __init__(self):
        self.status, self.headers, self.body, self.trailers, self.ended, self.reset = None, {}, b"", {}, False, None


class H2Client:
    def __init__(self, address, wrap=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        if wrap:
            self.socket = wrap(self.socket)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False))
        self.answers = {}
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def start(self, headers, end=True):
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, headers, end_stream=end)
        self.flush()
        return stream

    def send(self, stream, data, end=False):
        self.h2.send_data(stream, data, end_stream=end)
        self.flush()

    def reset(self, stream):
        self.h2.reset_stream(stream, 8)
        self.flush()

    def receive(self):
        """Takes what comes next; False at the end of the connection."""
        data = self.socket.recv(65536)
        if not data:
            return False
        for event in self.h2.receive_data(data):
            answer = self.answers.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ResponseReceived):
                fields = dict(event.headers)
                answer.status, answer.headers = int(fields.pop(":status")), fields
            elif isinstance(event, h2.events.DataReceived):
                answer.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                answer.trailers = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                answer.ended = True
            elif isinstance(event, h2.events.StreamReset):
                answer.reset, answer.ended = event.error_code, True
        self.flush()
        return True

    def wait(self, fact):
        """Receives until `fact()` is true."""
        while not fact():
            assert self.receive(), "the connection ended"

    def settings_known(self):
        """Whether the server takes extended CONNECT (RFC 8441), once it has said so."""
        return self.h2.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL) == 1

    def request(self, method, authority, path="/", headers=(), body=None):
        """The whole Answer."""
        stream = self.start([(":method", method), (":scheme", "http"), (":authority", authority), (":path", path), *headers], end=body is None)
        if body is not None:
            self.send(stream, body, end=True)
        answer = self.answers[stream]
        self.wait(lambda: answer.ended)
        return answer
