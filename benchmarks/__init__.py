"""What opus_async costs, next to what else could do the same: ``python -m benchmarks``, see README.md."""
