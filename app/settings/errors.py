"""What is wrong with the command line, the environment or a configuration file."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """One line for people: the file, variable or option, the key in it, and what was expected there.

    Never the value that was found: it may be a key that somebody put in the wrong place.
    """
