"""The REST wire: requests, answers, errors."""
