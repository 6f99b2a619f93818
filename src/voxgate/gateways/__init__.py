"""Every wire as I/O. No decisions."""
