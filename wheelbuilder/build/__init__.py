"""From an sdist to a checked wheel, in containers."""
