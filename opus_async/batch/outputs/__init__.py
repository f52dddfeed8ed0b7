"""What is made of the ledger for people and programs: exports, the summary, failures.jsonl, the status."""
