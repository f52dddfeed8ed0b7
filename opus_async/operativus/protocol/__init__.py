"""The wire format of Operativus: requests built from values, and values read from responses.

Pure: no I/O, no clock, no asyncio, no HTTP library. Every shape that is documented, or that the source of the
server sends, is a row of a table test.
"""
