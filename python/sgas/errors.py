"""The one error of this package."""


class RunError(ValueError):
    """A run folder or file that can't be used: which one, what was expected, what was found."""
