"""Planning: what is asked for becomes rows in the ledger, for a session to work on."""
