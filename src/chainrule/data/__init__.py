"""Data: tables read from disk, columns scaled, and arrays checked before a network takes them."""

from chainrule.data.bundled import DIGITS, digits
from chainrule.data.samples import Samples, features_and_target, split
from chainrule.data.streams import Stream
from chainrule.data.tables import read_table

__all__ = ["DIGITS", "Samples", "Stream", "digits", "features_and_target", "read_table", "split"]
