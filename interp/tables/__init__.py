"""Curves of tables, and when something happened along them."""
