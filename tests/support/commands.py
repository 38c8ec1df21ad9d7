"""What a command that was refused has printed."""


def refused(result, message):
    """Assert that a command ended with exit code 2 and one line that has ``message``."""
    assert result.exit_code == 2
    assert result.stdout == ""
    *progress, said = result.stderr.strip().splitlines()
    assert said.startswith("error: ")
    assert message in said
    assert all(line.startswith("epoch ") for line in progress)
