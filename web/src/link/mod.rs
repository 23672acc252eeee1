//! One way to a broker, be it in this page or behind a WebSocket.
