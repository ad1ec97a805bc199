"""The vocabulary everyone speaks: pure values, no I/O, no clock, no ids of its own."""
