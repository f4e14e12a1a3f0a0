# Benchmarks: built with the tests, run by hand.
