"""SQL: named transactions, not table accessors."""
