"""Audio formats: what a file is, what is in it, and how one is made."""
