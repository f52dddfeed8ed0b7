"""Moving bytes: one attempt (http), who may send next (limits), what follows one that failed (retry), files.

The only room that imports aiohttp's client. It knows no platform: it carries requests, answers and files, and
never asks what they are for. Listeners are told through ``notify``.
"""
