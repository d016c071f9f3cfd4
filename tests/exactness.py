"""Where tests record how exact their exports were; the largest error is told at the end of the run (see `conftest`)."""

ERROR = "relative error"
"""The name of the property."""
