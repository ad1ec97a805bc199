"""What Palaver costs, beside what others cost, measured on one machine in one interleaved run: `make bench`."""
