"""Builds the Python wheels that nobody publishes and serves them as a static index."""

__version__ = "0.1.0"
