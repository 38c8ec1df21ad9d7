"""What the tests are built from: backends to run on, data to run with, oracles to compare with."""
