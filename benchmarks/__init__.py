"""Benchmarks, run by hand; each prints its figures, the method and the machine."""
