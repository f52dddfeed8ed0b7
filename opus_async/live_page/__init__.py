"""A report that follows what it shows, served on this machine alone while a run lasts.

``source``
    what a live page shows: reports implement it
``publisher``
    renders the page while somebody looks, at a bounded cost, and tells viewers what has changed
``server``
    serves it: on loopback, under a secret path, as HTML and server-sent events
``guard``
    whom the server answers
"""
