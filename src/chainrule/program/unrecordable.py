"""The error of a step that cannot be recorded; small, so that training can name it without loading the tracer."""


class UnrecordableError(TypeError):
    """A step cannot be written down as a program; the message says what stands in the way, and where."""
