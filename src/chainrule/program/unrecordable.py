"""The error of a step that cannot be recorded; small, so that training can name it without loading the tracer."""


class UnrecordableError(TypeError):
    """A step cannot be recorded as a program; the message has the reason and the place."""
