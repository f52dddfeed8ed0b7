"""What is counted while jobs run, and what follows from it: throughput, time left, the bottleneck."""
