"""The list of a workflow's runs, read for all of its runs in flight at once.

The list is paged, newest row first. A row appears when the job of a run is taken from the server's queue,
which can be long after the order; rows that appear move all others down, also between one page and the next.
So it is read from the top to what was the top the time before (:mod:`depth`), wherever pages end, and rows
further down are looked for where they must be by now (:mod:`reading`). What is known of each run that is
looked after is kept in :mod:`tracked`; :mod:`listing` lets all who ask at the same time share one reading,
and :mod:`source` is what the status poller asks.
"""
