"""HTTP: one attempt (http), who may send next (limits), retries (retry), uploads and downloads of files.

The only package that imports aiohttp's client. It knows no platform: it carries requests, responses and
files, whatever they mean. Events go to listeners through ``notify``.
"""
