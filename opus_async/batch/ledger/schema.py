"""Tables and views of a ledger. SQLite tools show the comments in them (``.schema``).

Columns are only ever added, with a new version; the views are a promise to users.
"""

from __future__ import annotations

SCHEMA_VERSION = 2
"""Older ones are brought up to it when they are opened for writing, by :mod:`.migrations`."""

BY_PERSON = "person"
"""Of column ``decided_by``."""

JOBS = (
    """
CREATE TABLE worlds (
    -- Where jobs were made: host, generation of the API, workflow and its version.
    id INTEGER PRIMARY KEY,
    place INTEGER NOT NULL, -- the first of the worlds in which ids name the same jobs: host, generation
    facts TEXT NOT NULL     -- JSON
)
""",
    """
CREATE TABLE jobs (
    -- Every id that the platform gave out for a row: it is used for no other row, and only where it was made.
    remote_id TEXT NOT NULL,
    place INTEGER NOT NULL, -- of worlds
    world INTEGER NOT NULL, -- in which it was made
    row INTEGER NOT NULL,
    digest TEXT,            -- of the row, when it was made: what it was made for
    gave_way INTEGER NOT NULL DEFAULT 0,    -- 1 once the row is done with it
    start_doubt TEXT,       -- why it is not ordered again: refused (its last order was), or differed (it was
                            -- seen to differ from a job never started); NULL where nothing was learned
    alias TEXT,             -- its second id, where the platform gave it one later
    PRIMARY KEY (remote_id, place)
) WITHOUT ROWID
""",
)
"""New in version 2."""

TABLES = """
CREATE TABLE meta (
    -- Facts of the batch, as JSON: schema_version, created_at, fingerprint (what changes results), settings,
    -- manifest, binding (column to input), stages (the platform's names, in order).
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE sessions (
    -- Each process that worked on the batch. One that has no ended_at was killed, or is at work now.
    id INTEGER PRIMARY KEY,
    began_at REAL,          -- this and all other times: seconds since the epoch
    ended_at REAL,
    pid INTEGER,
    host TEXT,
    version TEXT,           -- of opus-async
    settings TEXT,          -- JSON, without secrets
    ended_because TEXT,
    exit_code INTEGER,
    stray_shells INTEGER,   -- jobs created and never started: no bill
    settle_after REAL,      -- seconds for which an order may still be on its way when the session is over,
                            -- because workers in other processes send them; NULL where there were none
    uploads_saved INTEGER   -- files that needed no upload, because the same content was there
);

CREATE TABLE rows (
    -- The rows of the manifest, each a job. state is one of:
    --   planned (nothing was ordered), ordering (the order to start may have left), running, waiting (for a
    --   person), completed, failed (on the platform, or proved never started), cancelled, timed_out,
    --   unknown (cannot be told, or its results cannot be had: a later look or a person decides).
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    position INTEGER,       -- place in the manifest, from 0
    key TEXT NOT NULL UNIQUE,
    digest TEXT,            -- SHA-256 of what the row asks for, file contents included
    state TEXT NOT NULL,
    stage TEXT,             -- the platform's stage in which it ended
    remote_id TEXT,         -- the platform's id of its job
    generation TEXT,        -- of the platform's API, by which that id is known
    status TEXT,            -- the platform's last word
    orders INTEGER NOT NULL DEFAULT 0,      -- orders to start it that were recorded
    orders_before INTEGER NOT NULL DEFAULT 0,   -- of jobs that it had before it was tried again
    retries INTEGER NOT NULL DEFAULT 0,     -- how often a person had it tried again, as a new job
    attempts INTEGER NOT NULL DEFAULT 0,    -- how often it was taken up from the beginning
    session INTEGER,        -- the session that changed it last
    started_at REAL,        -- when it was taken up
    ordered_at REAL,        -- when the order to start was about to leave
    ended_at REAL,
    look_at REAL,           -- when a row that waits for a person is due for a look
    waiting_since REAL,
    timings TEXT,           -- JSON: seconds per stage, and total
    error TEXT,
    error_type TEXT,
    cause TEXT,             -- the same for all rows that failed for the same reason
    note TEXT,
    result_offset INTEGER,  -- its line of results.jsonl, in bytes
    result_length INTEGER,
    result_digest TEXT,     -- SHA-256 of that line
    plan INTEGER,           -- the planning that saw it last
    retried_from TEXT,      -- how it had ended when a person wanted it tried again (failed where that was
                            -- said of an unknown one): its job is asked before another is made; then NULL
    doubt TEXT,             -- why an earlier batch may have billed it: it runs only while that is accepted
    location TEXT,          -- where it stands in the manifest in words (line 18); NULL where not known
    decided_by TEXT         -- person, where one said that it is completed or failed; NULL otherwise
);
CREATE INDEX rows_in_order ON rows (position);
CREATE INDEX rows_planned ON rows (position) WHERE state = 'planned';
CREATE INDEX rows_to_look_at ON rows (look_at) WHERE look_at IS NOT NULL;

CREATE TABLE cells (
    -- What stood in the row when it was planned, as a JSON object: column to value, globs expanded.
    row INTEGER PRIMARY KEY,
    cells TEXT NOT NULL
);

CREATE TABLE memory (
    -- What the platform prepared and need not prepare again: uploads by content.
    name TEXT PRIMARY KEY,
    value TEXT,
    at REAL
) WITHOUT ROWID;

CREATE TABLE files (
    -- Digests of files, good as long as the rest of the row is what the disk shows.
    path TEXT PRIMARY KEY,
    size INTEGER,
    mtime_ns INTEGER,
    inode INTEGER,          -- as a signed number
    sha256 TEXT
) WITHOUT ROWID;

CREATE TABLE history (
    -- Each change of a row's state.
    id INTEGER PRIMARY KEY,
    at REAL,
    session INTEGER,        -- NULL between sessions: a person decided
    row INTEGER,
    state TEXT,
    note TEXT
);

CREATE TABLE samples (
    -- How a session stood, every few seconds.
    id INTEGER PRIMARY KEY,
    at REAL,
    session INTEGER,
    data TEXT               -- JSON
);

CREATE TABLE downloads (
    -- Result files in the batch directory.
    row INTEGER,
    name TEXT,              -- of the output
    path TEXT,              -- relative to the batch directory
    size INTEGER,
    sha256 TEXT,
    PRIMARY KEY (row, path)
) WITHOUT ROWID;
""" + "".join(f"{table.rstrip()};\n" for table in JOBS)

IDENTITY = """
CREATE TABLE IF NOT EXISTS identity (
    -- Where the ledger lives and how far it has come, as JSON, in one row: id (of the batch) and number,
    -- which are compared with the file .batch-N; mark (inode and birth of that file); home (host, path,
    -- numbers of disk and files: others in a copy); examined (up to where results.jsonl was looked through).
    -- Old ledgers have none.
    only INTEGER PRIMARY KEY CHECK (only = 1),
    value TEXT NOT NULL
);
"""
"""Not in the first ledgers of this version: made when one is opened."""

VIEWS = """
CREATE VIEW v_status AS
    -- How many rows are in each state. state; rows: how many; share: of all rows, from 0 to 1.
    SELECT state, count(*) AS rows, round(count(*) * 1.0 / (SELECT count(*) FROM rows), 6) AS share
    FROM rows GROUP BY state ORDER BY count(*) DESC, state;

CREATE VIEW v_failures AS
    -- Rows that ended without completing, in manifest order. cause groups them: it is the same for all that
    -- failed for the same reason. stage is where it happened, remote_id the job on the platform.
    SELECT position, key, state, status, stage, error_type, cause, error, remote_id
    FROM rows WHERE state IN ('failed', 'cancelled', 'timed_out', 'unknown') ORDER BY position, id;

CREATE VIEW v_stage_seconds AS
    -- Where the time goes: seconds that rows spent in each stage, in the platform's order. rows: how many
    -- went through it; total, mean, min, max: seconds. The stage named total is a row from end to end: the
    -- other stages are parts of it.
    SELECT spent.key AS stage, count(*) AS rows, sum(spent.value) AS total, avg(spent.value) AS mean,
           min(spent.value) AS min, max(spent.value) AS max
    FROM rows, json_each(rows.timings) AS spent
    WHERE rows.timings IS NOT NULL
    GROUP BY spent.key
    ORDER BY coalesce((SELECT named.id FROM meta, json_each(meta.value) AS named
                       WHERE meta.name = 'stages' AND named.value = spent.key), 1000000), spent.key;

CREATE VIEW v_timeline AS
    -- How the batch went, one line for each sample. at: UTC; elapsed: seconds since the session began;
    -- in_flight, waiting: rows at that moment; completed, not_completed: rows of the whole batch so far;
    -- requests, retries, throttled, uploaded_bytes: of that session so far.
    SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch') AS at, session,
           json_extract(data, '$.elapsed') AS elapsed,
           json_extract(data, '$.in_flight') AS in_flight,
           json_extract(data, '$.waiting') AS waiting,
           json_extract(data, '$.completed') AS completed,
           json_extract(data, '$.not_completed') AS not_completed,
           json_extract(data, '$.requests') AS requests,
           json_extract(data, '$.retries') AS retries,
           json_extract(data, '$.throttled') AS throttled,
           json_extract(data, '$.uploaded_bytes') AS uploaded_bytes
    FROM samples ORDER BY id;
"""
