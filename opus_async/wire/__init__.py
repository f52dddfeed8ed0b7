"""JSON over HTTP as values: what the protocols of all platforms share.

Pure: no I/O, no clock, no asyncio, no HTTP library.
"""
