"""Benchmarks of speed, as ratios measured in one run. Start them by `make bench` or `python -m benchmarks [NAME ...]`."""
