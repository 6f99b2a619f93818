"""STUB (being written): the child side. See pool.py."""
