"""The static index: stores, states, commits and pages."""
