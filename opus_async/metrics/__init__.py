"""Counts of running jobs, and what follows from them: throughput, time left, bottleneck."""
