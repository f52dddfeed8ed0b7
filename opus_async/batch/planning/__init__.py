"""From what is asked for to rows in the ledger, and to a session at work on them."""
