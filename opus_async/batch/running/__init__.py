"""One session: rows leased from the ledger, run side by side, and their results recorded."""
