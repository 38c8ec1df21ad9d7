"""Saving: files written whole, and models kept in them."""
