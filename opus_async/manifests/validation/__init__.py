"""Checks manifests before anything is sent: every row against its workflow and the disk."""
