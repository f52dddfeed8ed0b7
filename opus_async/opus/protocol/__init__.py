"""What the Opus wire means: requests built from values, values read from answers.

Pure: no I/O, no clock, no asyncio, no HTTP library. Every shape of the wire is a row of a table test.
"""
