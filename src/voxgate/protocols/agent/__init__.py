"""The voice agent over Socket.IO, as pure translation: events, what each means, and what the client is told."""
