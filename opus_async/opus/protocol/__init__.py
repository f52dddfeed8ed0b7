"""The Opus wire format: requests built from values, and values read from responses.

Pure: no I/O, no clock, no asyncio, no HTTP library. Every shape that was seen is a row of a table test.
"""
