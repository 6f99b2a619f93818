"""One file a use case: pure rules, and one store call for one transaction."""
