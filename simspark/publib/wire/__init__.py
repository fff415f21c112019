"""The wire: messages, envelopes, sessions, sockets and keys."""
