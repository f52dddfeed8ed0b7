"""How benchmarks measure: processes, rounds, figures, tables."""
