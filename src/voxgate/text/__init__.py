"""Words as people read them to words as they are said, and back. Pure."""
