"""Listeners for the libraries of others. Each takes an extra of its own."""
