"""The speech socket: text in, speech out, in both of its dialects."""
