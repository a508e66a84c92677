"""HTTP/2 without opinions, for both ends: frames in, events out. It sends what it is told, right or wrong."""
import collections

import hpack
import hyperframe.frame as frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES_MAX = 16_384
WINDOW = (1 << 31) - 1
WINDOW_DEFAULT = 65_535

Headers = collections.namedtuple("Headers", "stream fields end")
Data = collections.namedtuple("Data", "stream data end")
Reset = collections.namedtuple("Reset", "stream code")
GoAway = collections.namedtuple("GoAway", "last code")


class Http2:
    """`out` holds what is to be written to the other side."""

    def __init__(self, client):
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.received = b""
        self.preface_left = b"" if client else PREFACE
        self.block = None                       # (stream, bytes, end): a header block that is not complete
        self.window, self.window_of_streams, self.windows = WINDOW_DEFAULT, WINDOW_DEFAULT, {}
        self.waiting = collections.deque()      # (stream, data, end) for which there was no window
        self.out = bytearray(PREFACE if client else b"")
        settings = {frames.SettingsFrame.INITIAL_WINDOW_SIZE: WINDOW, frames.SettingsFrame.ENABLE_CONNECT_PROTOCOL: 1}
        if client: settings = {frames.SettingsFrame.INITIAL_WINDOW_SIZE: WINDOW, frames.SettingsFrame.ENABLE_PUSH: 0}
        self.put(frames.SettingsFrame(0, settings=settings))
        self.put(frames.WindowUpdateFrame(0, window_increment=WINDOW - WINDOW_DEFAULT))

    def put(self, frame):
        self.out += frame.serialize()

    def headers(self, stream, fields, end):
        block = self.encoder.encode(fields, huffman=False)
        frame = frames.HeadersFrame(stream, block[:FRAME_BYTES_MAX])
        if end: frame.flags.add("END_STREAM")
        rest = [block[i:i + FRAME_BYTES_MAX] for i in range(FRAME_BYTES_MAX, len(block), FRAME_BYTES_MAX)]
        if not rest: frame.flags.add("END_HEADERS")
        self.put(frame)
        for number, piece in enumerate(rest):
            more = frames.ContinuationFrame(stream, piece)
            if number + 1 == len(rest): more.flags.add("END_HEADERS")
            self.put(more)

    def data(self, stream, data, end):
        pieces = [data[i:i + FRAME_BYTES_MAX] for i in range(0, len(data), FRAME_BYTES_MAX)] or [b""]
        for number, piece in enumerate(pieces):
            self.waiting.append((stream, piece, end and number + 1 == len(pieces)))
        self._flush()

    def trailers(self, stream, fields):
        self.waiting.append((stream, fields, True))
        self._flush()

    def reset(self, stream, code):
        self.put(frames.RstStreamFrame(stream, error_code=code))

    def _flush(self):
        while self.waiting:
            stream, piece, end = self.waiting[0]
            if isinstance(piece, list):
                self.headers(stream, piece, True)
            else:
                left = self.windows.get(stream, self.window_of_streams)
                if len(piece) > min(left, self.window): return
                self.windows[stream] = left - len(piece)
                self.window -= len(piece)
                frame = frames.DataFrame(stream, piece)
                if end: frame.flags.add("END_STREAM")
                self.put(frame)
            self.waiting.popleft()

    def receive(self, data):
        """Events of these bytes, in their order."""
        self.received += data
        events = []
        if self.preface_left:
            if len(self.received) < len(self.preface_left): return events
            self.received, self.preface_left = self.received[len(self.preface_left):], b""
        while len(self.received) >= 9:
            frame, length = frames.Frame.parse_frame_header(memoryview(self.received[:9]))
            if len(self.received) < 9 + length: break
            frame.parse_body(memoryview(self.received[9:9 + length]))
            self.received = self.received[9 + length:]
            self._take(frame, events)
        return events

    def _take(self, frame, events):
        if isinstance(frame, frames.SettingsFrame):
            if "ACK" in frame.flags: return
            new = frame.settings.get(frames.SettingsFrame.INITIAL_WINDOW_SIZE)
            if new is not None:
                self.windows = {s: w + new - self.window_of_streams for s, w in self.windows.items()}
                self.window_of_streams = new
            self.put(frames.SettingsFrame(0, flags=["ACK"]))
            self._flush()
        elif isinstance(frame, frames.PingFrame):
            if "ACK" not in frame.flags: self.put(frames.PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, frames.WindowUpdateFrame):
            if frame.stream_id == 0: self.window += frame.window_increment
            else: self.windows[frame.stream_id] = self.windows.get(frame.stream_id, self.window_of_streams) + frame.window_increment
            self._flush()
        elif isinstance(frame, (frames.HeadersFrame, frames.ContinuationFrame)):
            if isinstance(frame, frames.HeadersFrame): self.block = (frame.stream_id, b"", "END_STREAM" in frame.flags)
            stream, block, end = self.block
            self.block = (stream, block + frame.data, end)
            if "END_HEADERS" in frame.flags:
                fields = self.decoder.decode(self.block[1], raw=True)
                events.append(Headers(stream, [(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields], end))
        elif isinstance(frame, frames.DataFrame):
            if frame.flow_controlled_length:
                self.put(frames.WindowUpdateFrame(0, window_increment=frame.flow_controlled_length))
            events.append(Data(frame.stream_id, bytes(frame.data), "END_STREAM" in frame.flags))
        elif isinstance(frame, frames.RstStreamFrame):
            self.waiting = collections.deque(w for w in self.waiting if w[0] != frame.stream_id)
            events.append(Reset(frame.stream_id, frame.error_code))
        elif isinstance(frame, frames.GoAwayFrame):
            events.append(GoAway(frame.last_stream_id, frame.error_code))
