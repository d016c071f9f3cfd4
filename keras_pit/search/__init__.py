"""The search: seed to search model to slim model."""
