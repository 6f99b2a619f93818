"""The weights on disk: an engine is handed a folder and never downloads."""
